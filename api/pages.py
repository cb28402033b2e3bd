"""Routes that are not statistics: health, measurements, the list of endpoints, the dashboard."""

import hashlib
from html import escape
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from api.auth.keys import KeyStoreUnreadable
from api.errors import KeysUnavailable, Unavailable
from api.middleware.cached_answers import has_already
from api.middleware.envelope import CONTENT_POLICY
from api.services import services_of
from api.settings import ServingSettings

DASHBOARD_FOLDER = Path(__file__).resolve().parent / "dashboard"
DASHBOARD_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors {parents}; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing inline, no eval, nothing from elsewhere; and text never becomes markup."""
REVALIDATED = {"Cache-Control": "no-cache"}
DOCS_FOLDER = Path(__file__).resolve().parent / "docs_page"
DOCS_POLICY = f"{CONTENT_POLICY}; img-src 'self' data:"  # its style sheet holds its icons

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
def healthz() -> JSONResponse:
    """The process answers."""
    return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


@router.get("/readyz")
def readyz(request: Request) -> JSONResponse:
    """A snapshot is open and answers a query, keys can be read; else 503 with the reason.

    Anybody may ask this: what names files goes to the log.
    """
    services = services_of(request)
    snapshots = services.snapshots
    try:
        services.keys.verify(None, services.settings.clock())
        with snapshots.lease() as lease:
            lease.check()
            snapshot_id = lease.snapshot.snapshot_id
    except (Unavailable, KeyStoreUnreadable) as problem:
        error = problem if isinstance(problem, Unavailable) else KeysUnavailable(str(problem))
        request.state.problem = error.reason
        return JSONResponse(
            {
                "error": f"Not ready: {error.what}.",
                "error_code": "NOT_READY",
                "details": {"reason": error.what},
            },
            status_code=503,
            headers={"Cache-Control": "no-store", **error.headers},
        )
    behind = snapshots.problem
    if behind is not None:
        request.state.problem = behind.reason
    return JSONResponse(
        {
            "status": "ready",
            "snapshot_id": snapshot_id,
            "problem": None if behind is None else behind.what,
        },
        headers={"Cache-Control": "no-store"},
    )


@router.get("/docs")
def docs(request: Request) -> FileResponse:
    """The endpoints, their parameters and answers; everything it loads is in the folder too."""
    request.state.answer_headers["Content-Security-Policy"] = DOCS_POLICY
    return FileResponse(DOCS_FOLDER / "index.html", headers={"Cache-Control": "no-cache"})


def add_metrics(app: FastAPI, registry: CollectorRegistry) -> None:
    """Serve the measurements in `registry` at /metrics, and how fresh the data is with them."""
    published = Gauge(
        "agentstats_snapshot_open", "1 if a snapshot is open, else 0.", registry=registry
    )
    failing = Gauge(
        "agentstats_snapshot_problem",
        "1 if the newest snapshot cannot be served, else 0.",
        registry=registry,
    )
    data_as_of = Gauge(
        "agentstats_data_as_of_seconds",
        "Newest load in the open snapshot, Unix seconds; 0 if there is none.",
        registry=registry,
    )

    def metrics(request: Request) -> Response:
        """Measurements for Prometheus."""
        snapshots = services_of(request).snapshots
        snapshots.refresh()
        snapshot = snapshots.current
        newest_load = snapshot.data_as_of if snapshot is not None else None
        published.set(0 if snapshot is None else 1)
        failing.set(0 if snapshots.problem is None else 1)
        data_as_of.set(0 if newest_load is None else newest_load.timestamp())
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    app.get("/metrics", include_in_schema=False)(metrics)


def add_dashboard(app: FastAPI, folder: Path, settings: ServingSettings) -> None:
    """Serve the dashboard in `folder` at / and /dashboard/; without one, / leads to /docs."""
    index = folder / "index.html"
    if not index.is_file():

        def to_docs() -> RedirectResponse:
            """There is no dashboard in this installation."""
            return RedirectResponse("/docs")

        app.get("/", include_in_schema=False)(to_docs)
        return
    page = dashboard_page(index.read_text(encoding="utf-8"), settings).encode()
    headers = {**REVALIDATED, "ETag": f'"{hashlib.sha256(page).hexdigest()[:32]}"'}
    policy = DASHBOARD_POLICY.format(parents=" ".join(settings.frames_allowed) or "'none'")

    def dashboard(request: Request) -> Response:
        """The dashboard, a client of this API."""
        request.state.answer_headers["Content-Security-Policy"] = policy
        request.state.may_be_framed = bool(settings.frames_allowed)
        if has_already(request.headers.getlist("If-None-Match"), headers["ETag"]):
            return Response(status_code=304, headers=headers)
        return HTMLResponse(page, headers=headers)

    app.get("/", include_in_schema=False)(dashboard)
    for name, file in (("theme.css", settings.dashboard_theme), ("logo", settings.dashboard_logo)):
        if file is not None:
            _add_file(app, f"/dashboard/own/{name}", file)
    app.mount("/dashboard", DashboardFiles(directory=folder), name="dashboard")


def dashboard_page(text: str, settings: ServingSettings) -> str:
    """The dashboard's page with what the operator calls it, and what it has to know to be embedded.

    Raises ValueError where the page has not the places for that.
    """
    title = escape(settings.dashboard_title or "")
    about = f' data-title="{title}"' if title else ""
    if settings.jwt_cookie is not None and settings.takes_tokens:
        about += " data-cookie"
    if settings.frames_allowed:
        about += f' data-parents="{escape(" ".join(settings.frames_allowed))}"'
    changes = {'<html lang="en">': f'<html lang="en"{about}>'} if about else {}
    if title:
        changes["<title>agentstats</title>"] = f"<title>{title}</title>"
        changes["\n    agentstats\n"] = f"\n    {title}\n"
    if settings.dashboard_logo is not None:
        start, end = text.index("<svg viewBox"), text.index("</svg>") + len("</svg>")
        changes[text[start:end]] = '<img class="brand-logo" src="dashboard/own/logo" alt="">'
    if settings.dashboard_theme is not None:
        changes["</head>"] = '<link rel="stylesheet" href="dashboard/own/theme.css">\n</head>'
    for place, change in changes.items():
        if text.count(place) != 1:
            raise ValueError(f"the dashboard's page has {text.count(place)} of {place!r}, not one")
        text = text.replace(place, change)
    return text


def _add_file(app: FastAPI, path: str, file: Path) -> None:
    """Serve one file of the operator's; a browser asks each time whether it is still the newest."""

    def own_file() -> FileResponse:
        return FileResponse(file, headers=REVALIDATED)

    app.get(path, include_in_schema=False)(own_file)


class DashboardFiles(StaticFiles):
    """The dashboard's files; a browser asks each time whether its copy is still the newest."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """A file, or 304 for one that the browser has."""
        response = super().file_response(*args, **kwargs)
        response.headers.update(REVALIDATED)
        return response
