"""TLS of the listeners: one context, whose certificate is read again when its files change."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from deltaforge.control.options import ServeOptions
from deltaforge.control.tokens import check_owner_only
from deltaforge.core.errors import SpecError

log = logging.getLogger(__name__)

CHECK_SECS = 10.0


class Certificate:
    """The certificate of the server, and the context that shows it.

    Args:
        cert: Certificate chain, PEM.
        key: Its key, PEM, without a passphrase.
        client_ca: Authorities that signed the certificates of clients, PEM; None: clients need none.

    Raises:
        SpecError: One of them cannot be used; says which.
    """

    def __init__(self, cert: Path, key: Path, client_ca: Path | None) -> None:
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self._stamps = self._read_stamps()
        self.context = self._load()

    def follow_files(self) -> None:
        """Use the certificate of the files from the next connection on, if they changed.

        Files that cannot be used leave the certificate as it was, and are logged. Connections that there are go on.
        """
        stamps = self._read_stamps()
        if stamps == self._stamps:
            return
        try:
            self._load()  # in a context that nobody uses: half a change must not end ours
            self.context.load_cert_chain(self._cert, self._key, password=_no_passphrase)
        except (SpecError, OSError) as error:
            log.error("the certificate stays as it was: %s", error)  # noqa: TRY400 - it says all there is
        else:
            log.info("the certificate was read again from %s", self._cert)
        self._stamps = stamps

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")  # of TLS 1.2; those of 1.3 are all good
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.set_alpn_protocols(["http/1.1"])
        try:
            check_owner_only(self._key, "TLS key")
            context.load_cert_chain(self._cert, self._key, password=_no_passphrase)
        except (OSError, ValueError) as exc:
            raise SpecError(f"cannot use the certificate {self._cert} with the key {self._key}: {_text(exc)}") from exc
        if self._client_ca is not None:
            try:
                context.load_verify_locations(self._client_ca)
            except OSError as exc:
                raise SpecError(f"cannot use the authorities {self._client_ca}: {_text(exc)}") from exc
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _read_stamps(self) -> tuple[object, ...]:
        try:
            found = [path.stat() for path in (self._cert, self._key)]
        except OSError:
            return ()
        return tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in found)


def certificate_of(options: ServeOptions) -> Certificate | None:
    """The certificate that a server was told to use; None: it speaks without TLS.

    Raises:
        SpecError: It cannot be used, or half of it is missing.
    """
    if options.tls_cert is not None and options.tls_key is not None:
        return Certificate(options.tls_cert, options.tls_key, options.tls_client_ca)
    if options.tls_cert is not None or options.tls_key is not None or options.tls_client_ca is not None:
        raise SpecError("TLS needs --tls-cert and --tls-key", hint="--tls-client-ca goes with both of them")
    return None


def _no_passphrase() -> str:
    """Instead of a question at the terminal.

    Raises:
        ValueError: Always.
    """
    raise ValueError("the key has a passphrase, which nobody can be asked for")


def _text(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "not understood"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
