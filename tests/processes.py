"""Processes of pipelines, as the system sees them."""

from pathlib import Path


def pipeline_processes(state_dir):
    """The name of the pipeline of each launcher that runs from a state directory, by process id."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            is_gone = (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            continue
        if "deltaforge.runtime.launcher" in words and str(Path(state_dir).resolve()) in words and not is_gone:
            name = next(word for word in words if word.startswith("--name"))
            found[int(folder.name)] = name.partition("=")[2] or words[words.index(name) + 1]
    return found
