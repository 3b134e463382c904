"""Prompts in other words: by rules, and by an endpoint that stands on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from moviegen_runtime import TextToVideoRequest
from moviegen_runtime.cli import main
from moviegen_runtime.text import with_fps
from moviegen_runtime.text.rewriting import EndpointRewriter, RuleRewriter, rewritten

PROMPT = "an  incandescent   omnibus , swiftly"
CAPTION = "A red bus drives to the left over the hills."


@dataclass
class Endpoint:
    """What the server answers next, and what it was asked."""

    url: str
    status: int = 200
    body: bytes = b""
    location: str | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    silent: threading.Event | None = None

    def says(self, text: object) -> None:
        self.body = json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.headers.append(dict(self.headers))
            told.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if told.silent is not None:
                told.silent.wait(10)
                return
            self.send_response(told.status if self.path == "/v1/chat/completions" else 404)
            if told.location is not None:
                self.send_header("Location", told.location)
            self.end_headers()
            self.wfile.write(told.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told = Endpoint(f"http://127.0.0.1:{server.server_address[1]}/v1")
    told.says(CAPTION)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("prompt", "regular"),
    [
        ("  a red\n\tbus ,drives  ", "a red bus ,drives"),
        ("a red bus , and a cow !!", "a red bus, and a cow!"),
        ("a bus...  over there ;;", "a bus. over there;"),
        ("3.5 seconds of .5 drops", "3.5 seconds of .5 drops"),
        ("FPS-16. a red bus", "a red bus"),
        ("FPS-16.a red bus", "a red bus"),
        ("a sign \u201eLos ,, los\u201c  there", "a sign \u201eLos ,, los\u201c there"),
        ("fps-29.97: a red bus", "a red bus"),
        ("cafe\u0301\x07s", "caf\u00e9 s"),
        ('a  sign  "Go   now !!"  , red', 'a sign "Go   now !!", red'),
        ("“ a ,, b ”  x", "“ a ,, b ” x"),
    ],
)
def test_rules_make_spacing_regular_and_leave_quotes_alone(prompt: str, regular: str) -> None:
    rules = RuleRewriter()
    assert rules.rewrite(prompt) == regular
    assert rules.rewrite(regular) == regular
    assert with_fps(rules.rewrite(prompt), 8).count("FPS-") == 1


@pytest.mark.parametrize("prompt", ["FPS-16.", " fps-8 "])
def test_a_frame_rate_alone_is_no_prompt(prompt: str) -> None:
    with pytest.raises(ValueError, match="the prompt is empty"):
        RuleRewriter().rewrite(prompt)


def test_rules_refuse_a_prompt_of_nothing() -> None:
    with pytest.raises(ValueError, match="the prompt is empty"):
        RuleRewriter().rewrite(" \n ")


def test_an_endpoint_is_told_the_instructions_and_the_prompt(endpoint: Endpoint) -> None:
    rewriter = EndpointRewriter(endpoint.url + "/", "small-llm", key="secret")
    assert rewriter.rewrite(PROMPT) == CAPTION
    (asked,) = endpoint.asked
    assert asked["model"] == "small-llm"
    system, user = asked["messages"]
    assert (system["role"], user) == ("system", {"role": "user", "content": PROMPT})
    assert all(mark in system["content"] for mark in ("(a)", "(b)", "(c)"))
    assert endpoint.headers[0]["Authorization"] == "Bearer secret"
    assert "secret" not in repr(rewriter) + rewriter.name
    EndpointRewriter(endpoint.url, "small-llm").rewrite(PROMPT)
    assert "Authorization" not in endpoint.headers[1]


def test_quoted_text_must_come_back_as_it_was(endpoint: Endpoint) -> None:
    rewriter = EndpointRewriter(endpoint.url, "small-llm")
    endpoint.says('A shop whose sign says "Open  Late" .')
    assert rewriter.rewrite("a sign “Open  Late”") == 'A shop whose sign says "Open  Late".'
    with pytest.raises(ValueError, match=r"changed the text in quotation marks; the prompt has \['Closed'\]"):
        rewriter.rewrite('a sign "Closed"')
    with pytest.raises(ValueError, match=r"the prompt has \[\], the answer \['Open  Late'\]"):
        rewriter.rewrite("a shop")
    endpoint.says(f'"{CAPTION}"')  # all of it in quotation marks
    assert rewriter.rewrite("a bus") == CAPTION


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"<html>", "gave no chat completion, but b'<html>'"),
        (b"[" * 5000, "gave no chat completion"),
        (b'{"choices": []}', "gave no chat completion"),
        (b'{"error": "busy"}', "gave no chat completion"),
        (b"\xff\xfe", "gave no chat completion"),
        (None, "gave no text, but None"),
        ("  ", "answered with nothing"),
        ("bus " * 2000, "answered with 7999 characters; a prompt has at most 4000"),
    ],
)
def test_a_bad_answer_is_one_sentence(endpoint: Endpoint, answer: bytes | str | None, sentence: str) -> None:
    if isinstance(answer, bytes):
        endpoint.body = answer
    else:
        endpoint.says(answer)
    with pytest.raises(ValueError, match=sentence) as caught:
        EndpointRewriter(endpoint.url, "small-llm").rewrite(PROMPT)
    assert "\n" not in str(caught.value)


def test_an_endpoint_that_refuses_or_is_not_there_is_said(endpoint: Endpoint) -> None:
    rewriter = EndpointRewriter(endpoint.url, "small-llm", timeout=5)
    endpoint.status = 401
    with pytest.raises(ValueError, match="chat/completions refused with 401 Unauthorized"):
        rewriter.rewrite(PROMPT)
    with pytest.raises(ValueError, match="refused with 404"):
        EndpointRewriter(f"{endpoint.url}/other", "small-llm").rewrite(PROMPT)
    with pytest.raises(ValueError, match="cannot be reached"):
        EndpointRewriter("http://127.0.0.1:9/v1", "small-llm", timeout=5).rewrite(PROMPT)


def test_a_silent_endpoint_is_not_waited_for_for_ever(endpoint: Endpoint) -> None:
    endpoint.silent = threading.Event()
    with pytest.raises(ValueError, match="cannot be reached: timed out"):
        EndpointRewriter(endpoint.url, "small-llm", timeout=0.05).rewrite(PROMPT)
    endpoint.silent.set()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_the_key_is_not_sent_on_to_another_place(endpoint: Endpoint, status: int) -> None:
    endpoint.status, endpoint.location = status, f"{endpoint.url}/chat/completions"
    with pytest.raises(ValueError, match=f"refused with {status}"):
        EndpointRewriter(endpoint.url, "small-llm", key="secret").rewrite(PROMPT)
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize(
    "url",
    ["", "rule", "ftp://here/v1", "file:///etc/passwd", "http://", "http://here:port/v1", "http://[here/v1"],
)
def test_an_address_of_something_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be http or https"):
        EndpointRewriter(url, "small-llm")


@pytest.mark.parametrize("url", ["http://me:secret@here/v1", "http://here/v1?key=secret", "http://here/v1#x"])
def test_an_address_with_a_secret_in_it_is_refused_without_telling_it(url: str) -> None:
    with pytest.raises(ValueError, match="no user, password, query or fragment") as caught:
        EndpointRewriter(url, "small-llm")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("key", ["secret\n", "two secrets", "", "secr\u00e9t", "\udcff"])
def test_a_key_that_no_header_can_hold_is_refused_without_telling_it(key: str) -> None:
    with pytest.raises(ValueError, match="must be ASCII letters, digits and signs") as caught:
        EndpointRewriter("http://127.0.0.1:1/v1", "small-llm", key=key)
    assert "secr" not in str(caught.value)


def test_a_rewritten_request_keeps_the_prompt_that_it_had() -> None:
    request = TextToVideoRequest(prompt="a  cow", seed=3, steps=2)
    again = rewritten(request, RuleRewriter())
    assert again.prompt == "a cow"
    assert again.rewriting is not None
    assert again.rewriting.model_dump() == {"original": "a  cow", "by": "rules"}
    assert again.model_dump(exclude={"prompt", "rewriting"}) == request.model_dump(
        exclude={"prompt", "rewriting"}
    )
    assert TextToVideoRequest.model_validate_json(again.model_dump_json()) == again


def test_the_command_asks_once_and_its_sidecar_never_again(
    endpoint: Endpoint, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REWRITER_KEY", "secret")
    model = ["--model", str(tiny_model)]
    rewriting = ["--rewrite", endpoint.url, "--rewrite-model", "llm", "--rewrite-key-env", "REWRITER_KEY"]
    main(["generate", PROMPT, "-o", "bus.png", "--num-samples", "2", *rewriting, *model])
    assert len(endpoint.asked) == 1
    assert endpoint.headers[0]["Authorization"] == "Bearer secret"
    text = Path("bus-seed1.json").read_text()
    assert "secret" not in text
    sidecar = json.loads(text)
    assert sidecar["request"]["prompt"] == CAPTION
    assert sidecar["request"]["rewriting"] == {"original": PROMPT, "by": f"llm at {endpoint.url}"}
    assert sidecar["stages"]["reading the prompt"]["text"] == f"FPS-8. {CAPTION}"
    main(["generate", "--from-sidecar", "bus-seed1.json", "-o", "again.png", *model])
    assert len(endpoint.asked) == 1
    assert Path("again.png").read_bytes() == Path("bus-seed1.png").read_bytes()
    assert json.loads(Path("again.json").read_text())["request"] == sidecar["request"]
    main(["generate", CAPTION, "-o", "plain.png", "--seed", "1", *model])
    assert Path("plain.png").read_bytes() == Path("bus-seed1.png").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["a cow", "--rewrite", "http://127.0.0.1:9/v1"],
            "needs the name of its model: give --rewrite-model",
        ),
        (
            ["a cow", "--rewrite", "rule", "--rewrite-model", "llm"],
            "must be none, phrasebook, rules or a URL, not 'rule'",
        ),
        (["a cow", "--rewrite", "rules", "--rewrite-model", "llm"], "belong to --rewrite URL"),
        (["a cow", "--rewrite", "none", "--rewrite-key-env", "KEY"], "belong to --rewrite URL"),
        (["a cow", "--rewrite-model", "llm"], "belong to --rewrite URL"),
        (
            ["a cow", "--rewrite", "http://here/v1", "--rewrite-model", "m", "--rewrite-key-env", "NO_KEY"],
            "the environment variable NO_KEY is not set to a key",
        ),
        (["--from-sidecar", "x.json", "--rewrite", "rules"], "leave out --rewrite"),
        (["--from-sidecar", "x.json", "--rewrite-model", "llm"], "leave out --rewrite-model"),
    ],
)
def test_options_that_do_not_go_together_are_one_sentence(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_KEY", raising=False)
    with pytest.raises(SystemExit):
        main(["generate", "-o", "cow.png", *arguments])
    told = capsys.readouterr().err
    assert sentence in told
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
