"""Images of a message's document: whoever has a signed URL gets the image, and nothing else about the account."""

from collections.abc import Callable

from ..message import HttpRefusal, HttpRequest, HttpResponse
from .attachments import shown
from .image_urls import ImageUrls, SignedImage
from .mail_reader import MailReader, undamaged
from .raster import raster_type
from .remote_images import ImageRefused, RemoteImages

CACHED = "private, max-age=3600"
POLICY = ("content-security-policy", "default-src 'none'; sandbox")


class Images:
    """`remote` makes the fetcher at the first remote image."""

    def __init__(self, mail: MailReader, urls: ImageUrls, remote: Callable[[], RemoteImages]) -> None:
        self._mail = mail
        self._urls = urls
        self._make_remote = remote
        self._remote: RemoteImages | None = None

    async def serve(self, request: HttpRequest) -> HttpResponse:
        image = self._urls.read(request.values["token"])
        if image is None:
            raise HttpRefusal(404)
        return await (self._inline(image) if image.inline else self._fetched(request, image))

    async def _inline(self, image: SignedImage) -> HttpResponse:
        account, blob = image.name.split(" ")
        found = await self._mail.blob(image.reader, account, blob)
        chunks = undamaged(found.chunks)
        first = await anext(chunks, b"")
        kind = raster_type(first)
        if kind is None:
            await chunks.aclose()  # type: ignore[attr-defined]
            raise HttpRefusal(415)
        response = shown(first, chunks, kind, POLICY[1])
        response.cached = CACHED
        return response

    async def _fetched(self, request: HttpRequest, image: SignedImage) -> HttpResponse:
        if self._remote is None:
            self._remote = self._make_remote()
        remote = self._remote
        try:
            found = await request.attend(lambda: remote.get(image.reader, image.name))
        except ImageRefused as error:
            raise HttpRefusal(502, str(error)) from None
        return HttpResponse(200, found.octets, found.media_type, [POLICY], cached=CACHED)
