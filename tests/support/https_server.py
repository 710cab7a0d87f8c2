"""An HTTPS server on the loopback that answers each connection with given octets, right or wrong."""

import ssl
import threading
from contextlib import suppress
from pathlib import Path
from socket import SHUT_RDWR, create_server, socket


class HttpsServer:
    """Answers each connection with `octets` over TLS, in records of `record` octets; `endless` never stops, `cut` ends without
    close_notify, `stays` ends only with the client."""

    def __init__(
        self,
        certificate: Path,
        octets: bytes,
        *,
        endless: bool = False,
        cut: bool = False,
        stays: bool = False,
        port: int = 0,
        record: int = 16_384,
    ) -> None:
        self.port = port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._octets, self._endless, self._cut, self._stays, self._record = octets, endless, cut, stays, record
        self.asked = b""

    def __enter__(self) -> "HttpsServer":
        self._listener = create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                with suppress(OSError), self._context.wrap_socket(plain, server_side=True) as sock:
                    self._answer(sock)

    def _answer(self, sock: socket) -> None:
        self.asked = sock.recv(4096)
        for start in range(0, len(self._octets), self._record):
            sock.sendall(self._octets[start : start + self._record])
        while self._stays and sock.recv(4096):
            pass
        while self._endless:
            sock.sendall(b"x: y\r\n" * 1000)
        if self._cut:
            sock.shutdown(SHUT_RDWR)
            return
        with suppress(OSError):
            sock.unwrap() if isinstance(sock, ssl.SSLSocket) else None
