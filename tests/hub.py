"""A loopback Hub, in a process of its own, that huggingface_hub, datasets and transformers talk to as they are.

    with Hub() as hub:
        env = os.environ | hub.env()       # HF_ENDPOINT, a token that may write, no Xet, not offline
        subprocess.run([..., "push", ...], env=env)
        hub.files("datasets/me/x")         # what the head of the repository holds

    python tests/hub.py --port 0            # prints "PORT 40123" first

Repositories live in memory. As on the Hub: a new one has a first commit with `.gitattributes`; large and binary files
go through LFS to another address, which takes no token; a commit names its parent and gets a 412 if that is no longer
the head; a private repository is not there for those who may not see it.
"""

from __future__ import annotations

import asyncio
import base64
import fnmatch
import hashlib
import json
import re
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import yaml
from aiohttp import web
from loopback import Loopback, arguments, listening

WRITE, READ = "hf_write_0123456789", "hf_read_0123456789"
OWNER = "me"
GITATTRIBUTES = "\n".join(
    f"{pattern} filter=lfs diff=lfs merge=lfs -text"
    for pattern in ("*.arrow", "*.bin", "*.gz", "*.parquet", "*.safetensors", "*.sqlite")
)
LICENSES = {"apache-2.0", "mit", "cc-by-4.0", "cc-by-sa-4.0", "cc0-1.0", "other", "unknown"}
CATEGORIES = {
    "multiple-choice", "text-classification", "question-answering", "text-generation", "table-question-answering",
}  # fmt: skip
SIZES = {"n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M"}
_NAME = re.compile(r"[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9_])?")


@dataclass
class Settings:
    """What goes wrong. Routes are the names in `ROUTES`.

    Attributes:
        fail_first (`int`): every route answers 500 to the first so many calls of each request to it.
        fail (`dict[str, int]`): route to status: it always answers that.
        intrude (`list[dict[str, str]]`): before each of the next commits somebody else commits these files; a
            character of their content is a byte.
        hang (`str`): a route that never answers.
        lose (`str`): a route that does its work and then hangs up, once.
    """

    fail_first: int = 0
    fail: dict[str, int] = field(default_factory=dict)
    intrude: list[dict[str, str]] = field(default_factory=list)
    hang: str = ""
    lose: str = ""


@dataclass
class Repo:
    """One repository: its commits, oldest first, each with all of its files."""

    private: bool
    commits: list[tuple[str, str, dict[str, bytes]]] = field(default_factory=list)

    @property
    def head(self) -> str:
        return self.commits[-1][0]

    def commit(self, title: str, files: dict[str, bytes]) -> str:
        whole = f"{len(self.commits)} {title} {sorted((name, git_oid(data)) for name, data in files.items())}"
        self.commits.append((hashlib.sha1(whole.encode()).hexdigest(), title, files))
        return self.head

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit and the files of a revision; a commit may be shortened to its first seven digits."""
        wanted = self.head if revision == "main" else revision
        for oid, _, files in self.commits:
            if len(wanted) >= 7 and oid.startswith(wanted):
                return oid, files
        return None


def git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def is_lfs(path: str, data: bytes) -> bool:
    patterns = [line.split()[0] for line in GITATTRIBUTES.splitlines()]
    big = len(data) > 10_000_000 or b"\0" in data[:512]
    return big or any(fnmatch.fnmatch(path.rpartition("/")[2], pattern) for pattern in patterns)


class Refused(Exception):
    """An answer that is an error, as the Hub words it."""

    def __init__(self, status: int, message: str, code: str = "", **more: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.more = status, code, more


class App:
    """The server's side."""

    def __init__(self) -> None:
        self.url = ""
        self.reset(Settings())

    def reset(self, settings: Settings, keep: bool = False) -> None:
        self.to = settings
        self.calls: Counter[str] = Counter()
        self.log: list[dict[str, Any]] = []
        if not keep:
            self.repos: dict[str, Repo] = {}
            self.objects: dict[str, bytes] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/_control":
            return await self.control(request)
        for name, method, pattern in ROUTES:
            found = re.fullmatch(pattern, request.raw_path.partition("?")[0])
            if found and (request.method == method or (method == "GET" and request.method == "HEAD")):
                return await self.answer(
                    name, request, {key: unquote(value) for key, value in found.groupdict().items()}
                )
        self.log.append({"route": "", "path": request.raw_path, "method": request.method, "status": 404})
        return web.json_response({"error": "Sorry, we can't find the page you are looking for."}, status=404)

    async def answer(self, name: str, request: web.Request, parts: dict[str, str]) -> web.StreamResponse:
        entry = {"route": name, "path": request.raw_path, "method": request.method, "status": 0}
        self.log.append(entry)
        call = f"{request.method} {request.raw_path}"
        self.calls[call] += 1
        try:
            if self.to.hang == name:
                await asyncio.Event().wait()
            if name in self.to.fail:
                raise Refused(self.to.fail[name], "told to fail")
            if self.calls[call] <= self.to.fail_first:
                raise Refused(500, "Internal Error - We're working hard to fix this as soon as possible!")
            response: web.StreamResponse = await getattr(self, name)(request, **parts)
        except Refused as refused:
            entry["status"] = refused.status
            headers = {"X-Error-Message": str(refused).splitlines()[0]} | refused.more.pop("headers", {})
            headers |= {"X-Error-Code": refused.code} if refused.code else {}
            body = {"error": str(refused)} | refused.more
            return web.json_response(body, status=refused.status, headers=headers)
        entry["status"] = response.status
        if self.to.lose == name:
            self.to.lose = ""
            entry["status"] = "lost"
            if request.transport:
                request.transport.close()
        return response

    async def control(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            told = await request.json()
            if "files" in told:
                files = {name: base64.b64decode(data) for name, data in told["files"].items()}
                self.repos.setdefault(told["repo"], Repo(False)).commit("By any means", files)
            else:
                self.reset(Settings(**told["settings"]), told["keep"])
        if request.query_string == "log":
            return web.json_response(self.log)
        if request.query_string.startswith("files="):
            repo = self.repos.get(request.query["files"])
            files = repo.commits[-1][2] if repo else {}
            return web.json_response({name: base64.b64encode(data).decode() for name, data in files.items()})
        about = {name: [repo.private, [title for _, title, _ in repo.commits]] for name, repo in self.repos.items()}
        return web.json_response(about)

    # Who asks, and what for.

    def role(self, request: web.Request) -> str:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in (WRITE, READ):
            raise Refused(401, "Invalid credentials in Authorization header")
        return {WRITE: "write", READ: "read"}.get(token, "")

    def find(self, request: web.Request, kind: str, repo: str, *, write: bool = False) -> Repo:
        role = self.role(request)
        found = self.repos.get(f"{kind}/{repo}")
        if found is None or (found.private and not role):
            message = "Repository not found" if role else "Invalid username or password."
            raise Refused(404 if role else 401, message, "RepoNotFound")
        if write and role != "write":
            raise Refused(403 if role else 401, "You don't have the required permissions: this token can only read")
        if write and not repo.startswith(f"{OWNER}/"):
            raise Refused(403, "You don't have the rights to write to this repository")
        return found

    def revision(self, repo: Repo, revision: str) -> tuple[str, dict[str, bytes]]:
        found = repo.at(revision)
        if found is None:
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return found

    async def whoami(self, request: web.Request) -> web.Response:
        role = self.role(request)
        if not role:
            raise Refused(401, "Invalid username or password.")
        token = {"displayName": "test", "role": role}
        return web.json_response({"type": "user", "name": OWNER, "orgs": [], "auth": {"accessToken": token}})

    async def create(self, request: web.Request) -> web.Response:
        role, body = self.role(request), await request.json()
        kind, owner, name = f"{body.get('type', 'model')}s", body.get("organization") or OWNER, body["name"]
        if not role:
            raise Refused(401, "Invalid username or password.")
        if role != "write" or owner != OWNER:
            raise Refused(403, f'You don\'t have the rights to create a {kind[:-1]} under the namespace "{owner}"')
        if not _NAME.fullmatch(name) or "--" in name or ".." in name:
            raise Refused(400, f"Invalid repo name: {name}")
        prefix = "" if kind == "models" else f"{kind}/"
        about = {"url": f"{self.url}/{prefix}{owner}/{name}", "name": f"{owner}/{name}", "id": "0"}
        if f"{kind}/{owner}/{name}" in self.repos:
            raise Refused(409, f"You already created this {kind[:-1]} repo", **about)
        repo = self.repos[f"{kind}/{owner}/{name}"] = Repo(body.get("visibility") == "private")
        repo.commit("initial commit", {".gitattributes": GITATTRIBUTES.encode()})
        return web.json_response(about)

    async def info(self, request: web.Request, kind: str, repo: str, revision: str = "main") -> web.Response:
        found = self.find(request, kind, repo)
        oid, files = self.revision(found, revision)
        about: dict[str, Any] = {"_id": "0", "id": repo, "author": OWNER, "sha": oid, "private": found.private}
        about |= {"gated": False, "disabled": False, "tags": [], "downloads": 0, "likes": 0, "usedStorage": 0}
        about |= {"lastModified": "2030-01-01T00:00:00.000Z", "createdAt": "2030-01-01T00:00:00.000Z"}
        about["siblings"] = [{"rfilename": path} for path in sorted(files)]
        about["cardData"] = read_yaml(files.get("README.md", b"").decode())
        return web.json_response(about | ({"modelId": repo} if kind == "models" else {}))

    async def refs(self, request: web.Request, kind: str, repo: str) -> web.Response:
        head = self.find(request, kind, repo).head
        main = {"name": "main", "ref": "refs/heads/main", "targetCommit": head}
        return web.json_response({"branches": [main], "tags": [], "converts": []})

    # Writing.

    async def validate(self, request: web.Request) -> web.Response:
        body = await request.json()
        errors = list(complaints(body["content"], body["repoType"]))
        if errors:
            raise Refused(400, "Invalid metadata", errors=[{"message": error} for error in errors], warnings=[])
        return web.json_response({"errors": [], "warnings": []})

    async def preupload(self, request: web.Request, kind: str, repo: str, revision: str) -> web.Response:
        _, files = self.revision(self.find(request, kind, repo, write=True), revision)
        told = []
        for one in (await request.json())["files"]:
            sample, path = base64.b64decode(one["sample"]), one["path"]
            lfs = is_lfs(path, sample) or one["size"] > 10_000_000
            told.append({"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False})
            if path in files:
                told[-1]["oid"] = hashlib.sha256(files[path]).hexdigest() if lfs else git_oid(files[path])
        return web.json_response({"files": told, "commitOid": self.repos[f"{kind}/{repo}"].head})

    async def batch(self, request: web.Request, repo: str, kind: str = "models") -> web.Response:
        self.find(request, kind or "models", repo, write=True)
        body, told = await request.json(), []
        for one in body["objects"]:
            told.append(dict(one))
            if one["oid"] not in self.objects:
                actions = {"upload": f"{self.url}/_lfs/{one['oid']}", "verify": f"{self.url}/_verify/{one['oid']}"}
                told[-1]["actions"] = {name: {"href": href} for name, href in actions.items()}
        return web.json_response({"transfer": "basic", "objects": told})

    async def upload(self, request: web.Request, oid: str) -> web.Response:
        data = await request.read()
        if hashlib.sha256(data).hexdigest() != oid:
            raise Refused(400, "the content is not what its name says")
        self.objects[oid] = data
        return web.Response()

    async def verify(self, request: web.Request, oid: str) -> web.Response:
        body = await request.json()
        if self.role(request) != "write" or len(self.objects.get(oid, b"")) != body["size"]:
            raise Refused(404, "no such object")
        return web.json_response({})

    async def commit(self, request: web.Request, kind: str, repo: str, revision: str) -> web.Response:
        found = self.find(request, kind, repo, write=True)
        lines = [json.loads(line) for line in (await request.read()).splitlines()]
        header = lines[0]["value"]
        if self.to.intrude:
            theirs = {path: text.encode("latin-1") for path, text in self.to.intrude.pop(0).items()}
            found.commit("Somebody else's", found.commits[-1][2] | theirs)
        if header.get("parentCommit") not in (None, found.head):
            raise Refused(412, "A commit has happened since. Please refresh and try again.")
        files = self.changed(dict(found.commits[-1][2]), lines[1:])
        oid, prefix = found.commit(header["summary"], files), "" if kind == "models" else f"{kind}/"
        told = {"success": True, "commitOid": oid, "commitUrl": f"{self.url}/{prefix}{repo}/commit/{oid}"}
        return web.json_response(told | {"hookOutput": ""})

    def changed(self, files: dict[str, bytes], lines: list[dict[str, Any]]) -> dict[str, bytes]:
        for line in lines:
            value = line["value"]
            path = value["path"]
            if line["key"] == "file":
                files[path] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.objects:
                    raise Refused(400, f"Your push was rejected: the LFS object {value['oid']} does not exist")
                files[path] = self.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                if files.pop(path, None) is None:
                    raise Refused(404, "A file with this name doesn't exist", "EntryNotFound")
            elif line["key"] == "deletedFolder":
                files = {name: data for name, data in files.items() if not name.startswith(path)}
        if "README.md" in files and list(complaints(files["README.md"].decode(), "")):
            raise Refused(400, "Invalid metadata in README.md")
        return files

    # Reading.

    def entries(self, files: dict[str, bytes], folder: str, recursive: bool) -> Iterator[dict[str, Any]]:
        prefix, folders = f"{folder}/" if folder else "", set()
        for path in sorted(files):
            if not path.startswith(prefix):
                continue
            parts = path.removeprefix(prefix).split("/")
            for depth in range(1, len(parts) if recursive else min(len(parts), 2)):
                folders.add(prefix + "/".join(parts[:depth]))
            if recursive or len(parts) == 1:
                yield self.entry(path, files[path])
        for name in sorted(folders):
            yield {"type": "directory", "oid": hashlib.sha1(name.encode()).hexdigest(), "size": 0, "path": name}

    def entry(self, path: str, data: bytes) -> dict[str, Any]:
        about: dict[str, Any] = {"type": "file", "oid": git_oid(data), "size": len(data), "path": path}
        if is_lfs(path, data):
            about["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
        return about

    async def tree(self, request: web.Request, kind: str, repo: str, revision: str, path: str = "") -> web.Response:
        _, files = self.revision(self.find(request, kind, repo), revision)
        found = list(self.entries(files, path or "", request.query.get("recursive", "").lower() in ("true", "1")))
        if path and not found:
            raise Refused(404, f"{path} does not exist on {revision}", "EntryNotFound")
        return web.json_response(found)

    async def paths(self, request: web.Request, kind: str, repo: str, revision: str) -> web.Response:
        _, files = self.revision(self.find(request, kind, repo), revision)
        wanted = [str(path).strip("/") for path in (await request.post()).getall("paths", [])]
        found = [self.entry(path, files[path]) for path in wanted if path in files]
        everything = list(self.entries(files, "", True))
        return web.json_response(
            found + [one for one in everything if one["type"] != "file" and one["path"] in wanted]
        )

    async def resolve(
        self, request: web.Request, repo: str, revision: str, path: str, kind: str = "models"
    ) -> web.StreamResponse:
        oid, files = self.revision(self.find(request, kind or "models", repo), revision)
        headers = {"X-Repo-Commit": oid, "Accept-Ranges": "bytes"}
        if path not in files:
            raise Refused(404, "Entry not found", "EntryNotFound", headers=headers)
        data = files[path]
        if is_lfs(path, data):
            sha = hashlib.sha256(data).hexdigest()
            self.objects[sha] = data
            headers |= {"X-Linked-Size": str(len(data)), "X-Linked-Etag": f'"{sha}"'}
            # Another host, as the Hub's own store is: clients follow a redirect to the same host at once.
            elsewhere = self.url.replace("127.0.0.1", "localhost")
            return web.Response(status=302, headers=headers | {"Location": f"{elsewhere}/_cdn/{sha}"})
        return ranged(request, data, headers | {"ETag": f'"{git_oid(data)}"'})

    async def cdn(self, request: web.Request, oid: str) -> web.StreamResponse:
        if oid not in self.objects:
            raise Refused(404, "no such object")
        return ranged(request, self.objects[oid], {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"})


_REPO = r"/api/(?P<kind>models|datasets)/(?P<repo>[^/]+/[^/]+)"
# Name, method and path of everything there is.
ROUTES = (
    ("whoami", "GET", "/api/whoami-v2"),
    ("create", "POST", "/api/repos/create"),
    ("validate", "POST", "/api/validate-yaml"),
    ("info", "GET", _REPO),
    ("info", "GET", _REPO + "/revision/(?P<revision>.+)"),
    ("refs", "GET", _REPO + "/refs"),
    ("preupload", "POST", _REPO + "/preupload/(?P<revision>.+)"),
    ("commit", "POST", _REPO + "/commit/(?P<revision>.+)"),
    ("tree", "GET", _REPO + "/tree/(?P<revision>[^/]+)(?:/(?P<path>.+))?"),
    ("paths", "POST", _REPO + "/paths-info/(?P<revision>.+)"),
    ("batch", "POST", r"/(?:(?P<kind>datasets)/)?(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch"),
    ("upload", "PUT", "/_lfs/(?P<oid>[0-9a-f]{64})"),
    ("verify", "POST", "/_verify/(?P<oid>[0-9a-f]{64})"),
    ("resolve", "GET", "/(?:(?P<kind>datasets)/)?(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)"),
    ("cdn", "GET", "/_cdn/(?P<oid>[0-9a-f]{64})"),
)


def unquote(value: str | None) -> str:
    return urllib.request.unquote(value) if value else ""


def ranged(request: web.Request, data: bytes, headers: dict[str, str]) -> web.Response:
    """All of the data, or the part that the request asks for."""
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
    if not found:
        return web.Response(body=data, headers=headers)
    start, end = int(found[1]), min(int(found[2] or len(data) - 1), len(data) - 1)
    if start > end:
        return web.Response(status=416, headers={"Content-Range": f"bytes */{len(data)}"})
    headers |= {"Content-Range": f"bytes {start}-{end}/{len(data)}"}
    return web.Response(status=206, body=data[start : end + 1], headers=headers)


def read_yaml(content: str) -> Any:
    """The YAML head of a card, found as the Hub finds it."""
    found = re.search(r"^(\s*---(?:\r\n|\r|\n))([\S\s]*?)((?:\r\n|\r|\n)---[ \t]*(\r\n|\n|$))", content)
    return yaml.safe_load(found[2]) if found else {}


def complaints(content: str, repo_type: str) -> Iterator[str]:
    """What the Hub would say against a card's YAML."""
    try:
        data = read_yaml(content)
    except yaml.YAMLError as error:
        yield f"YAML Metadata Error: {error}"
        return
    if not isinstance(data, dict):
        yield "YAML Metadata Error: must be an object"
        return
    lists = {name: [data[name]] if isinstance(data[name], str) else data[name] for name in data}
    known = {"license": LICENSES, "task_categories": CATEGORIES if repo_type == "dataset" else None}
    known["size_categories"] = SIZES
    for name, allowed in known.items():
        for value in lists.get(name, ()):
            if allowed and value not in allowed:
                yield f'"{name}" must be one of {sorted(allowed)}'
    for value in lists.get("language", ()):
        if not isinstance(value, str) or not re.fullmatch("[a-z]{2,3}|code|multilingual", value):
            yield '"language" must be an ISO 639-1, 639-2 or 639-3 code'
    for name in ("tags", "language", "task_categories"):
        if not all(isinstance(value, str) for value in lists.get(name, ())):
            yield f'"{name}" must be a string or a list of strings'
    for config in data.get("configs", ()):
        if not isinstance(config, dict) or not isinstance(config.get("config_name"), str):
            yield '"configs[0].config_name" must be a string'


async def serve(port: int, until_eof: bool) -> None:
    app = App()
    site = web.Application(client_max_size=1 << 30)
    site.router.add_route("*", "/{path:.*}", app.handle)
    runner = web.AppRunner(site, access_log=None, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", port)
    await listener.start()
    app.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    await listening(runner.addresses[0][1], until_eof)


class Hub(Loopback):
    """Starts the Hub, and tells it what to do."""

    SCRIPT = __file__

    @property
    def url(self) -> str:
        """What goes into `HF_ENDPOINT`."""
        return self.address

    def env(self, token: str = WRITE) -> dict[str, str]:
        """The variables under which a process talks to this Hub and to no other; no token is an empty one."""
        told = {"HF_ENDPOINT": self.url, "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        return told | {"HF_HUB_OFFLINE": "0", "HF_DATASETS_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "0"}

    def reset(self, *, keep: bool = False, **settings: Any) -> None:
        """Replace all settings and clear the log, and with it every repository unless they are to be kept."""
        self.control(told={"settings": asdict(Settings(**settings)), "keep": keep})

    def put(self, repo: str, files: dict[str, bytes]) -> None:
        """Make these the files of a repository, whatever a client would say to them."""
        held = {name: base64.b64encode(data).decode() for name, data in files.items()}
        self.control(told={"repo": repo, "files": held})

    def log(self) -> list[dict[str, Any]]:
        """Every request in the order of arrival: `route` (a name of `ROUTES`), `path`, `method`, `status`.

        `status` is 0 while there is no answer, and "lost" where the answer was not sent.
        """
        return list(self.control("?log"))

    def repos(self) -> dict[str, tuple[bool, list[str]]]:
        """Whether each repository (`datasets/me/x`) is private, and the titles of its commits."""
        return {name: (private, titles) for name, (private, titles) in self.control().items()}

    def files(self, repo: str) -> dict[str, bytes]:
        """What the head of a repository holds; nothing if there is none."""
        return {name: base64.b64decode(data) for name, data in self.control(f"?files={repo}").items()}


if __name__ == "__main__":
    told = arguments(__doc__).parse_args()
    asyncio.run(serve(told.port, told.until_eof))
