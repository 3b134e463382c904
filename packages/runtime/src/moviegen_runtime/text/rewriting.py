"""Prompts rewritten before a model reads them, towards the captions of its training (paper, section 3.4).

The paper's rewriter is a language model that was taught for it and is not published. Here are rules that need
no model, and any endpoint that speaks the chat part of OpenAI's interface. No torch here.
"""

from __future__ import annotations

import json
import re
import unicodedata
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPMessage
from typing import IO, Protocol
from urllib.parse import urlsplit

from moviegen_runtime.requests import Rewriting, TextToVideoRequest
from moviegen_runtime.text.prompt import MOST_CHARACTERS, QUOTED, clean_prompt, quoted_strings, without_fps

_MOST_BYTES = 1 << 20

INSTRUCTIONS = """\
You turn a request for a short video into the caption that such a video would have.
Answer with the caption alone, in one paragraph of plain English, at most 120 words.
(a) Always tell things in the same order: the subject and what it looks like, what it does, where it is, \
the light, then the camera.
(b) Say everything in plain, direct words: replace rare and ornate ones by common ones.
(c) Say what moves and which way, and no more about motion than that.
Keep everything that the request asks for. Words in double quotation marks are to be seen in the picture: \
repeat them letter by letter in double quotation marks, and put nothing else in quotation marks.
"""
"""The paper's three instructions in our words; its own text is not published."""


class PromptRewriter(Protocol):
    """Gives a prompt another wording."""

    @property
    def name(self) -> str:
        """What did it, for the record."""
        ...

    def rewrite(self, prompt: str) -> str:
        """The prompt in other words, its quoted text untouched and without a frame rate in front.

        Raises:
            ValueError: nothing can be made of it.
        """
        ...


class RuleRewriter:
    """White space and punctuation made regular; what is in double quotation marks stays as it is.

    A frame rate that somebody wrote in front is taken off: the pipeline puts the request's own there, once.
    """

    name = "rules"

    def rewrite(self, prompt: str) -> str:
        """The same words.

        Raises:
            ValueError: nothing is left.
        """
        text = without_fps(prompt)
        pieces, end = [], 0
        for match in QUOTED.finditer(text):
            pieces += [_regular(text[end : match.start()]), match.group()]
            end = match.end()
        return clean_prompt("".join([*pieces, _regular(text[end:])]))


@dataclass(frozen=True)
class EndpointRewriter:
    """A language model behind an OpenAI-compatible endpoint, told the paper's three instructions.

    Args:
        base_url: what comes before "/chat/completions", e.g. "http://127.0.0.1:8000/v1".
        model: its name there.
        key: sent as a bearer token; None: none. It is never written anywhere.
        timeout: seconds that the endpoint may be silent.

    Raises:
        ValueError: no http address, or one with a password, a query or a fragment in it; a key that no header
            can hold.
    """

    base_url: str
    model: str
    key: str | None = field(default=None, repr=False)
    timeout: float = 60.0

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.base_url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:  # a port that is no number, a bracket too many
            usable = False
        if not usable:
            raise ValueError(f"the rewriter's address must be http or https, not {self.base_url!r}")
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            # The address is kept in the sidecar, where no secret may go.
            raise ValueError("the rewriter's address must have no user, password, query or fragment in it")
        if not self.model:
            raise ValueError("give the name of the rewriter's model")
        if self.key is not None and not re.fullmatch(r"[!-~]+", self.key):
            raise ValueError("the rewriter's key must be ASCII letters, digits and signs, without spaces")

    @property
    def name(self) -> str:
        return f"{self.model} at {self.base_url}"

    def rewrite(self, prompt: str) -> str:
        """The caption that the model gives, its spacing made regular.

        Raises:
            ValueError: the endpoint cannot be reached, or its answer cannot be used.
        """
        answer = _unwrapped(self._answer(clean_prompt(prompt)).strip(), prompt)
        if not answer:
            raise ValueError(f"the rewriter at {self.base_url} answered with nothing")
        if len(answer) > MOST_CHARACTERS:
            raise ValueError(
                f"the rewriter at {self.base_url} answered with {len(answer)} characters; a prompt has at "
                f"most {MOST_CHARACTERS}"
            )
        rewritten = RuleRewriter().rewrite(answer)
        if sorted(set(quoted_strings(rewritten))) != sorted(set(quoted_strings(prompt))):
            raise ValueError(
                f"the rewriter at {self.base_url} changed the text in quotation marks; the prompt has "
                f"{list(quoted_strings(prompt))}, the answer {list(quoted_strings(rewritten))}"
            )
        return rewritten

    def _answer(self, prompt: str) -> str:
        content = {
            "model": self.model,
            "temperature": 0,
            "messages": [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": prompt}],
        }
        headers = {"Content-Type": "application/json"}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key}"
        url = f"{self.base_url.rstrip('/')}/chat/completions"
        request = urllib.request.Request(url, json.dumps(content).encode(), headers)
        try:
            with urllib.request.build_opener(_NoRedirects()).open(request, timeout=self.timeout) as response:
                body: bytes = response.read(_MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            raise ValueError(f"the rewriter at {url} refused with {error.code} {error.reason}") from error
        except (OSError, HTTPException, ValueError) as error:  # URLError and a timeout are OSErrors
            reason = getattr(error, "reason", None) or error
            raise ValueError(f"the rewriter at {url} cannot be reached: {reason}") from error
        try:
            answer = json.loads(body)["choices"][0]["message"]["content"]
        except (ValueError, RecursionError, LookupError, TypeError) as error:
            raise ValueError(f"the rewriter at {url} gave no chat completion, but {body[:80]!r}") from error
        if not isinstance(answer, str):
            raise ValueError(f"the rewriter at {url} gave no text, but {answer!r:.80}")
        return answer


def rewritten(request: TextToVideoRequest, rewriter: PromptRewriter) -> TextToVideoRequest:
    """The request with its prompt in other words, and with what it was.

    Raises:
        ValueError: as the rewriter.
    """
    prompt = rewriter.rewrite(request.prompt)
    told = Rewriting(original=request.prompt, by=rewriter.name)
    return TextToVideoRequest.model_validate(request.model_dump() | {"prompt": prompt, "rewriting": told})


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """An answer that sends the prompt and the key elsewhere is an error."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        del req, fp, code, msg, headers, newurl


def _regular(text: str) -> str:
    """One space where there was white space, none before a mark, and each mark once."""
    text = unicodedata.normalize("NFC", text)
    text = "".join(" " if unicodedata.category(letter) == "Cc" else letter for letter in text)
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r" +(?=[,;:!?.](?:[\s,;:!?.]|$))", "", text)
    return re.sub(r"([,;:!?.])\1+", r"\1", text)


def _unwrapped(answer: str, prompt: str) -> str:
    """Without quotation marks around the whole answer, which models like to put there."""
    match = QUOTED.fullmatch(answer)
    return answer if match is None or quoted_strings(prompt) else "".join(match.groups(default="")).strip()
