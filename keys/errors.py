"""Errors of the keys package, drawn as a tree.

    KeysError
    ├── UnknownAlgorithmError             a key or signature names an algorithm that is not registered
    ├── MalformedKeyError                 bytes that are not a valid key of their kind
    ├── BadSignatureError                 a signature that does not verify
    ├── CannotOpenError                   a sealed message for another key or context, or changed
    ├── SealedHeaderDamagedError          a header with a wrapped key, cut short, changed or of another kind
    ├── SealedFileDamagedError            a file sealed under a passphrase, cut short, continued or changed
    ├── VaultError
    │   ├── WrongPassphraseError          the passphrase does not open the vault
    │   │   └── WrongFilePassphraseError  nor the sealed file
    │   ├── VaultDamagedError             a file of the vault is missing, cut short or changed
    │   ├── SecretMissingError            no secret of that name
    │   ├── SecretExistsError             a secret of that name is there and was not to be replaced
    │   └── BadSecretNameError            a name outside the permitted letters
    └── TlsCertificateError
        ├── TlsCertificateMalformedError  not a certificate of the profile in ``keys.tls``
        ├── TlsCertificateExpiredError    not valid at the given time
        ├── WrongIssuerError              not issued by the authority of the member it is presented for
        └── WrongNameError                the names in it are not those of the member

Each class carries ``code``, the stable name that crosses the wire; the text of an instance names the remedy.
No message contains a secret.
"""

from __future__ import annotations


class KeysError(Exception):
    """Root of every error this package raises."""

    code = "keys_error"


class UnknownAlgorithmError(KeysError):
    """An algorithm name that is not in ``keys.signing.ALGORITHMS``."""

    code = "unknown_algorithm"


class MalformedKeyError(KeysError):
    """Bytes of the wrong length, or a public key that no honest key generation produces."""

    code = "malformed_key"


class BadSignatureError(KeysError):
    """A signature that does not verify under this key and message."""

    code = "bad_signature"


class CannotOpenError(KeysError):
    """A sealed message that does not open: wrong key, wrong context, or changed bytes."""

    code = "cannot_open"


class SealedHeaderDamagedError(KeysError):
    """The header of a vault or sealed file is not in the form that this program writes."""

    code = "head_damaged"


class SealedFileDamagedError(KeysError):
    """A file sealed under a passphrase was cut short, continued, changed, or is no such file."""

    code = "sealed_file_damaged"


class VaultError(KeysError):
    """Root of the errors of secrets at rest."""

    code = "vault"


class WrongPassphraseError(VaultError):
    """The passphrase does not open the vault (or the head of the vault was changed: the two look alike)."""

    code = "wrong_passphrase"


class WrongFilePassphraseError(WrongPassphraseError):
    """The passphrase does not open the sealed file (or its head was changed)."""


class VaultDamagedError(VaultError):
    """A file of the vault is missing, cut short, changed, or was moved to another name."""

    code = "vault_damaged"


class SecretMissingError(VaultError):
    """There is no secret of that name."""

    code = "secret_missing"


class SecretExistsError(VaultError):
    """There is a secret of that name already, and the caller asked not to replace it."""

    code = "secret_exists"


class BadSecretNameError(VaultError):
    """A secret's name has letters or a length that cannot be a file name everywhere."""

    code = "bad_secret_name"


class TlsCertificateError(KeysError):
    """Root of the errors of TLS certificates."""

    code = "certificate"


class TlsCertificateMalformedError(TlsCertificateError):
    """Not a certificate, or one outside the profile written in ``keys.tls``."""

    code = "certificate_malformed"


class TlsCertificateExpiredError(TlsCertificateError):
    """The given time is outside the validity of the certificate or of its authority."""

    code = "certificate_expired"


class WrongIssuerError(TlsCertificateError):
    """The certificate was not issued by the authority of the member it is presented for."""

    code = "wrong_issuer"


class WrongNameError(TlsCertificateError):
    """The names in a certificate are not those of the member, or a name cannot be in one."""

    code = "wrong_name"
