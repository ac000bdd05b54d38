"""The dashboard, the docs page and their static files. None of them sends a request to another host."""

from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

from api.dependencies import ClientScope, ServicesDep
from api.http.errors import NoSuchPage
from api.http.openapi import operation
from api.http.responses import JsonResponse
from api.http.routes import Router
from api.schemas.examples import DatasetId
from api.services.identifiers import resolve_dataset_id
from core.store import datasets
from core.store.errors import NoSuchDataset

STATIC = Path(__file__).parents[1] / "static"

POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
DOCS_POLICY = f"{POLICY}; img-src 'self' data:"  # Swagger UI draws its arrows from data: URLs

DOCS = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Chainrule API</title>
  <link rel="icon" href="static/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="static/vendor/swagger-ui/swagger-ui.css">
  <link rel="stylesheet" href="static/docs.css">
</head>
<body>
  <nav aria-label="Service"><a href="./">← Dashboard</a></nav>
  <div id="swagger-ui"></div>
  <script src="static/vendor/swagger-ui/swagger-ui-bundle.js"></script>
  <script type="module" src="static/docs.js"></script>
</body>
</html>
"""

DATASET = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta http-equiv="refresh" content="0; url={url}">
  <title>Dataset</title>
</head>
<body><a href="{url}">The dataset's page</a></body>
</html>
"""
"""It leads on to the dashboard, which finds its pages by the part of the address after #."""

router = Router(tags=["service"])


@router.get("/", summary="Dashboard", response_class=HTMLResponse, **operation())
def get_dashboard() -> Response:
    """Serve the dashboard: create jobs, follow their training, predict with their models."""
    page = STATIC / "index.html"
    if not page.is_file():
        raise NoSuchPage("this installation has no dashboard: /docs lists every route")
    return FileResponse(page, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"})


@router.get(
    "/datasets/{dataset_id}",
    summary="Page of a dataset",
    response_class=HTMLResponse,
    **operation(NoSuchDataset),
)
def get_dataset_page(services: ServicesDep, scope: ClientScope, dataset_id: DatasetId) -> Response:
    """Lead to the page of a dataset: what is in its columns, warnings, and a job to train on it."""
    with services.database.read() as s:
        row = datasets.get(s, scope, resolve_dataset_id(s, scope, dataset_id))
    page = DATASET.format(url=f"../#/datasets/{row.id}")
    return HTMLResponse(page, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"})


@router.get("/docs", summary="API docs", response_class=HTMLResponse, **operation())
def get_docs() -> Response:
    """Serve the docs page: every route, with runnable examples."""
    return HTMLResponse(DOCS, headers={"Content-Security-Policy": DOCS_POLICY})


@router.get("/openapi.json", summary="OpenAPI document", **operation())
def get_openapi_document(request: Request) -> Response:
    """Return the description of this API for programs."""
    return JsonResponse(request.app.openapi())


class Static(StaticFiles):
    """The static files, revalidated by the browser at each visit (304 if unchanged)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one file."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(b"content-security-policy", POLICY.encode()), (b"cache-control", b"no-cache")]
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        await super().__call__(scope, receive, send_with_headers)


def mount_static(app: FastAPI) -> None:
    """Serve the folder `static` at `/static`."""
    app.mount("/static", Static(directory=STATIC, check_dir=False), name="static")
