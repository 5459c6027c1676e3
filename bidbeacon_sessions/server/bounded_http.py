"""Our uvicorn's HTTP: a request whose line and headers do not end is refused, since the parser would collect it for ever."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024


class BoundedHttp(HttpToolsProtocol):
    """HTTP/1.1 whose request line and headers come to 64 KiB at most; then the answer is 400 and the connection ends."""

    _head_bytes = 0
    _in_head = True

    def data_received(self, data: bytes) -> None:
        """Take what came, unless it is too much."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self.send_400_response("The request line and headers are too long.")

    def on_message_begin(self) -> None:
        """Count anew."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Count no further: bodies are bounded by who reads them."""
        self._in_head, self._head_bytes = False, 0
        super().on_headers_complete()
