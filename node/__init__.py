"""The application: configuration, composition root, the path of each job, its edges and its own store.

``node.office.check`` is the path of a household check at the office; ``node.registrar.certify`` is the
registrar's part, ``node.department.answer`` a department's, ``node.trustee.release`` the trustee's.
``node.app`` puts one process together. No cryptography lives here: it is called from ``protocols``.
"""
