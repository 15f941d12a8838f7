"""``make audit``: known vulnerabilities of everything locked, and bills of materials.

pip-audit asks PyPI about each package of the lock files. By itself it calls a package that the
service does not answer for "skipped" and ends well, also where it was asked for none. Here that is
a failure: what nobody judged is not known to be good. Bills of materials (CycloneDX, JSON) are
written whatever is found, one for each lock file: they need no service.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
_NAMED: Final = 5


@dataclass(frozen=True)
class Audit:
    """What pip-audit found. known: a line for each vulnerability; not_judged: packages and why."""

    judged: int
    known: tuple[str, ...]
    not_judged: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Whether something was judged, and of all packages nothing is known."""
        return bool(self.judged) and not self.known and not self.not_judged


def read_audit(report: str) -> Audit:
    """The report that pip-audit writes as JSON. Raises ValueError where it is none."""
    try:
        packages: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        raise ValueError("pip-audit wrote no report") from None
    judged = [one for one in packages if "skip_reason" not in one]
    return Audit(
        judged=len(judged),
        known=tuple(_described(one, found) for one in judged for found in one["vulns"]),
        not_judged=tuple(
            f"{one['name']}: {one['skip_reason']}" for one in packages if "skip_reason" in one
        ),
    )


def _described(package: dict[str, Any], found: dict[str, Any]) -> str:
    mended = ", ".join(found["fix_versions"]) or "no release yet"
    return f"{package['name']} {package['version']}: {found['id']}, mended in {mended}"


def say(audit: Audit) -> str:
    """What was found, in words for whoever runs ``make audit``."""
    lines = [*audit.known]
    if audit.known:
        lines.append("Raise these versions in pyproject.toml, then `make lock`.")
    if audit.not_judged or not audit.judged:
        first = "; ".join(audit.not_judged[:_NAMED]) or "no package was judged"
        lines.append(
            f"{len(audit.not_judged)} packages were not judged ({first}). The service for "
            "vulnerabilities (https://pypi.org/pypi) has to be reachable and to know them: run "
            "`make audit` again from where it is."
        )
    if not lines:
        lines.append(f"{audit.judged} locked packages, none with a known vulnerability.")
    return "\n".join(lines)


def ask(tools: Path, lock: Path) -> Audit:
    """Have pip-audit judge a lock file. Raises ValueError, with its last words, where it fails."""
    done = subprocess.run(  # noqa: S603 - a tool of ours, on files of ours
        [
            *(str(tools / "pip-audit"), "--disable-pip", "--require-hashes"),
            *("--format", "json", "--progress-spinner", "off", "-r", str(lock)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        return read_audit(done.stdout)
    except ValueError as error:
        last = (done.stderr.strip().splitlines() or [str(error)])[-1]
        raise ValueError(
            f"{lock} was not judged, as pip-audit failed: {last}. The service for vulnerabilities "
            "(https://pypi.org/pypi) has to be reachable: run `make audit` again from where it is."
        ) from None


def merge(audits: Sequence[Audit]) -> Audit:
    """All together. A package that several lock files hold is said once, and counted each time."""
    return Audit(
        judged=sum(one.judged for one in audits),
        known=tuple(dict.fromkeys(line for one in audits for line in one.known)),
        not_judged=tuple(dict.fromkeys(line for one in audits for line in one.not_judged)),
    )


def write_bills(tools: Path, locks: Sequence[Path], folder: Path) -> None:
    """Write a bill of materials for each lock file. Raises CalledProcessError."""
    folder.mkdir(parents=True, exist_ok=True)
    for lock in locks:
        bill = folder / f"{lock.stem}.cdx.json"
        subprocess.run(  # noqa: S603 - as above
            [
                *(str(tools / "cyclonedx-py"), "requirements", "--output-reproducible"),
                *("--of", "JSON", "-o", str(bill), str(lock)),
            ],
            check=True,
        )


def main(tools: Path) -> int:
    """Write the bills, then judge; 1 where something is known, or was not judged."""
    locks = sorted((ROOT / "locks").glob("*.txt"))
    bills = ROOT / "build" / "bills"
    write_bills(tools, locks, bills)
    sys.stdout.write(f"{len(locks)} bills of materials are in {bills.relative_to(ROOT)}/\n")
    try:
        audit = merge([ask(tools, lock) for lock in locks])
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    (sys.stdout if audit.is_good else sys.stderr).write(f"{say(audit)}\n")
    return 0 if audit.is_good else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
