"""What a browser opens: the dashboard, the docs page and their files, none of which asks any other host."""

from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

from api.http.openapi import operation
from api.http.problems import NoSuchPage
from api.http.responses import JsonResponse

STATIC = Path(__file__).parents[1] / "static"

POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
DOCS_POLICY = f"{POLICY}; img-src 'self' data:"  # Swagger UI draws its arrows so

DOCS = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Chainrule API</title>
  <link rel="icon" href="static/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="static/vendor/swagger-ui/swagger-ui.css">
</head>
<body>
  <div id="swagger-ui"></div>
  <script src="static/vendor/swagger-ui/swagger-ui-bundle.js"></script>
  <script type="module" src="static/docs.js"></script>
</body>
</html>
"""

router = APIRouter(tags=["service"])


@router.get("/", summary="The dashboard", response_class=HTMLResponse, **operation())
def dashboard() -> Response:
    """Post a job, watch it learn, ask it."""
    page = STATIC / "index.html"
    if not page.is_file():
        raise NoSuchPage("this installation has no dashboard: /docs has every route")
    return FileResponse(page, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"})


@router.get("/docs", summary="This page", response_class=HTMLResponse, **operation())
def docs() -> Response:
    """Every route, with examples to run."""
    return HTMLResponse(DOCS, headers={"Content-Security-Policy": DOCS_POLICY})


@router.get("/openapi.json", summary="The OpenAPI document", **operation())
def openapi(request: Request) -> Response:
    """What the docs page draws, for programs."""
    return JsonResponse(request.app.openapi())


class Static(StaticFiles):
    """The pages' files, asked for anew at each visit (an unchanged one costs a 304)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one file."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(b"content-security-policy", POLICY.encode()), (b"cache-control", b"no-cache")]
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        await super().__call__(scope, receive, send_guarded)


def mount_static(app: FastAPI) -> None:
    """Serve the folder `static` where the pages look for it."""
    app.mount("/static", Static(directory=STATIC, check_dir=False), name="static")
