"""The table of presets in the docs is what its command prints."""

from __future__ import annotations

import sys

from projects import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import presets


def test_the_page_has_the_table_of_today() -> None:
    page = (ROOT / "docs" / "transformer" / "presets.md").read_text()
    assert f"<!-- presets:begin -->\n{presets.table()}\n<!-- presets:end -->" in page
