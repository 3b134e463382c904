"""The public interface of a package, written down at each release and compared ever after.

    python tools/api.py check packages/core       fails when a promise is broken without a new version
    python tools/api.py snapshot packages/core    writes api/<version>.pyi, at a release

The snapshot is a stub that people can read: the names in `__all__`, their public members, their types. It is
kept in the repository because tags do not come with every clone. A break needs a higher minor version (below
1.0) or major version, and an entry that says "Breaking" under that version in CHANGELOG.md.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import griffe

_CALLED = {"__init__", "__call__", "__getitem__", "__len__", "__iter__"}
_MODELS = {"BaseModel", "ArchConfig"}


def stub(package: Path) -> str:
    """The public interface of the package in a folder, as a stub."""
    name = _distribution(package).replace("-", "_")
    sources = [str(source) for source in sorted(package.resolve().parent.glob("*/src"))]
    sources.append(str(package.resolve() / "src"))
    loader = griffe.GriffeLoader(search_paths=sources)
    module = loader.load(name, try_relative_path=False)
    loader.resolve_aliases(implicit=False, external=True)
    lines = [f'"""Public interface of {name} {_version(package)}; written by tools/api.py."""']
    for exported in sorted(str(entry) for entry in module.exports or []):
        lines += _definition(exported, _target(module[exported]))
    return "\n".join(lines) + "\n"


def breaks(old: str, new: str) -> list[str]:
    """What code written against one stub can no longer rely on in another."""
    before, after = _load(old), _load(new)
    found = [
        f"{breakage.obj.path}: {breakage.kind.value}{_name(breakage.new_value or breakage.old_value)}"
        for breakage in griffe.find_breaking_changes(before, after)
    ]
    return found + list(_type_breaks(before, after))  # griffe does not look at types yet


def may_break(old: str, new: str) -> bool:
    """Whether a version may break the promises of an older one."""
    before, after = _numbers(old), _numbers(new)
    return after[0] > before[0] or (after[0] == before[0] == 0 and after[1] > before[1])


def check(package: Path) -> int:
    """Compare a package with its last snapshot and print every break; the exit code."""
    snapshots = sorted((package / "api").glob("*.pyi"), key=lambda path: _numbers(path.stem))
    if not snapshots:
        print(f"{package} has no snapshot: uv run nox -s api-snapshot")
        return 1
    released, version = snapshots[-1].stem, _version(package)
    found = breaks(snapshots[-1].read_text(), stub(package))
    print(f"{_distribution(package)} {version} against {released}: {len(found)} breaks")
    print("\n".join(found))
    if not found:
        return 0
    if not may_break(released, version):
        print(f"a break needs a new version: {version} promises what {released} does")
        return 1
    if "breaking" not in _entry(package, version).lower():
        print(f"CHANGELOG.md needs an entry with 'Breaking' under {version}")
        return 1
    return 0


def snapshot(package: Path) -> int:
    """Write the interface of the present version down; the exit code."""
    path = package / "api" / f"{_version(package)}.pyi"
    path.parent.mkdir(exist_ok=True)
    path.write_text(stub(package))
    print(path)
    return 0


def _definition(name: str, thing: griffe.Object) -> list[str]:
    if isinstance(thing, griffe.Class):
        return ["", *_class(name, thing)]
    if isinstance(thing, griffe.Function):
        return ["", f"def {thing.signature(name=name)}: ..."]
    return ["", _attribute(name, thing)]


def _class(name: str, cls: griffe.Class) -> list[str]:
    bases = ", ".join(str(base) for base in cls.bases)
    body = [line for member, value in cls.all_members.items() for line in _member(member, _target(value))]
    if fields := list(_fields(cls)) if _is_model(cls) else []:
        body.append(f"    def __init__(self, *, {', '.join(fields)}) -> None: ...")
    return [f"class {name}({bases}):" if bases else f"class {name}:", *(body or ["    ..."])]


def _member(name: str, member: griffe.Object) -> list[str]:
    if name not in _CALLED and name.startswith("_"):
        return []
    if isinstance(member, griffe.Function):
        kind = next((label for label in ("staticmethod", "classmethod") if label in member.labels), None)
        first = {None: "self, ", "classmethod": "cls, ", "staticmethod": ""}[kind]
        signature = member.signature(name=name).replace("(", f"({first}", 1).replace(", )", ")", 1)
        return [*([f"    @{kind}"] if kind else []), f"    def {signature}: ..."]
    if isinstance(member, griffe.Attribute) and name != "model_config":
        # What a constructor hangs on `self` without a type is the class's own affair.
        promised = member.annotation is not None or "class-attribute" in member.labels
        return [f"    {_attribute(name, member)}"] if promised else []
    return []


def _attribute(name: str, thing: griffe.Object) -> str:
    annotation = getattr(thing, "annotation", None)
    return f"{name}: {annotation}" if annotation is not None else f"{name} = ..."


def _is_model(cls: griffe.Class) -> bool:
    return any(str(base).rpartition(".")[2] in _MODELS for each in [cls, *cls.mro()] for base in each.bases)


def _fields(cls: griffe.Class) -> Iterator[str]:
    """Fields of a pydantic model, as the parameters of the constructor that it makes at run time."""
    for name, member in cls.all_members.items():
        field = _target(member)
        if not isinstance(field, griffe.Attribute) or "property" in field.labels or field.annotation is None:
            continue
        if not name.startswith("_") and "ClassVar" not in str(field.annotation):
            yield f"{name}: {field.annotation}" + (" = ..." if _has_default(field.value) else "")


def _has_default(value: object) -> bool:
    text = str(value)
    if text.startswith("Field("):
        return "default" in text or not re.match(r"Field\((\.\.\.|\w+=|\))", text)
    return value is not None


def _type_breaks(before: griffe.Module, after: griffe.Module) -> Iterator[str]:
    """Parameters that take less, results and attributes that may be more than before."""
    for path, old, new in _pairs(before, after):
        if isinstance(old, griffe.Attribute) and isinstance(new, griffe.Attribute):
            if not _kinds(new.annotation) <= _kinds(old.annotation):
                yield f"{path}: type was {old.annotation}, is {new.annotation}"
        elif isinstance(old, griffe.Function) and isinstance(new, griffe.Function):
            if not _kinds(new.returns) <= _kinds(old.returns):
                yield f"{path}: result was {old.returns}, is {new.returns}"
            for parameter in old.parameters:
                if parameter.name not in [each.name for each in new.parameters]:
                    continue  # griffe says so
                taken = new.parameters[parameter.name].annotation
                if not _kinds(parameter.annotation) <= _kinds(taken):
                    yield f"{path}({parameter.name}): type was {parameter.annotation}, is {taken}"


def _pairs(before: griffe.Object, after: griffe.Object) -> Iterator[tuple[str, griffe.Object, griffe.Object]]:
    for name, old in before.members.items():
        new = after.members.get(name)
        if isinstance(old, griffe.Object) and isinstance(new, griffe.Object):
            yield old.path, old, new
            yield from _pairs(old, new)


def _kinds(annotation: object) -> set[str]:
    return set(str(annotation).split(" | "))


def _target(thing: griffe.Object | griffe.Alias) -> griffe.Object:
    return thing.final_target if isinstance(thing, griffe.Alias) else thing


def _name(value: object) -> str:
    """Name of a changed parameter; nothing for a change of the whole object."""
    return f": {value.name}" if isinstance(value, griffe.Parameter) else ""


def _load(text: str) -> griffe.Module:
    return griffe.visit("interface", filepath=Path("interface.pyi"), code=text)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _project(package: Path) -> dict[str, str]:
    project: dict[str, str] = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    return project


def _distribution(package: Path) -> str:
    return _project(package)["name"]


def _version(package: Path) -> str:
    return _project(package)["version"]


def _entry(package: Path, version: str) -> str:
    """What CHANGELOG.md says under a version; empty when it says nothing."""
    text = (package / "CHANGELOG.md").read_text()
    found = re.search(rf"^## \[?{re.escape(version)}\b(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    return found.group(1) if found else ""


def main(arguments: Iterable[str]) -> int:
    action, *packages = arguments
    run = {"check": check, "snapshot": snapshot}[action]
    return max(run(Path(package)) for package in packages)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
