"""The application of one member: configuration, commands, the roles, gRPC and HTTP ports, and storage.

``node.office.check`` runs a household check at the office; ``node.registrar.certify`` is the
registrar's part of it, ``node.department.answer`` a department's, ``node.trustee.release`` the trustee's.
``node.app`` assembles the parts of one process. The cryptography is in ``protocols`` and is called from here.
"""
