"""Starting a run and waiting for it, by the HTTP API. Python 3.9 or newer, nothing to install."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

ENDED = {"succeeded", "partial", "failed", "cancelled"}


class Api:
    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self.headers = {"authorization": f"Bearer {token}"} if token else {}

    def start(self, sync: str, key: str, **options: bool) -> dict:
        """The run. A run of this sync is active already: the one that follows it. The same key within a day: the same run."""
        body = {"onConflict": "queue", **options}
        return self._call("POST", f"/v1/syncs/{sync}/runs", body, {"idempotency-key": key})

    def wait(self, run: dict) -> dict:
        """The run once it has ended. Each question lasts up to a minute at the server, so this asks rarely."""
        while run["state"] not in ENDED:
            run = self._call("GET", f"/v1/runs/{run['id']}?wait=60")
        return run

    def _call(self, method: str, path: str, body: dict | None = None, headers: dict | None = None) -> dict:
        data = None if body is None else json.dumps(body).encode()
        content = {} if data is None else {"content-type": "application/json"}
        request = urllib.request.Request(self.url + path, data, {**self.headers, **content, **(headers or {})}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            problem = json.load(error)
            raise RuntimeError(f"{method} {path}: {problem.get('detail', error.reason)}") from error


def describe(run: dict) -> str:
    error = run["error"] or {}
    why = error.get("message") or f"{run['counts']['owed']} records are owed: tailrace rejections {run['sync']}"
    return f"run {run['id']} of {run['sync']} ended {run['state']}: {why}"
