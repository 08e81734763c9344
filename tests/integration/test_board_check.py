"""The workflow for boards comments the changed tables: its steps run here, with a stand-in for GitHub's command."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MARK = "<!-- adbench-boards -->"
GH = """#!/bin/sh
# what GitHub's command is asked, and the comments that a pull request has
printf '%s\\n' "$*" >> "$ASKED"
case "$*" in *--jq*) printf '%s' "$OLD" ;; esac
"""


def step(name):
    workflow = yaml.safe_load((ROOT / "examples" / "board-check.yml").read_text(encoding="utf-8"))
    (found,) = [one for one in workflow["jobs"]["check"]["steps"] if one.get("name", "").startswith(name)]
    return found


def git(folder, *words):
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=folder, check=True)


@pytest.fixture
def checkout(tmp_path):
    """A pull request that changes one of two boards, as the workflow checks it out."""
    folder = tmp_path / "checkout"
    for name in ("one", "two"):
        (folder / "leaderboards" / name / "full shot").mkdir(parents=True)
        (folder / "leaderboards" / name / "full shot" / "README.md").write_text(f"# {name}\n\n| before |\n")
    git(tmp_path, "init", "-q", "-b", "main", str(folder))
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "before")
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    (folder / "leaderboards" / "two" / "full shot" / "README.md").write_text("# two\n\n| after |\n")
    (folder / "notes.txt").write_text("no board")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "after")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gh").write_text(GH)
    (tmp_path / "bin" / "gh").chmod(0o755)
    return folder


def run_steps(folder, old="", check="success"):
    """Run the steps that write and send the comment; returns the comment and what GitHub was asked."""
    place = folder.parent
    known = {
        "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "BOARDS": "leaderboards",
        "GITHUB_BASE_REF": "main",
        "GITHUB_STEP_SUMMARY": str(place / "summary.md"),
        "COMMENTS": "repos/me/boards/issues/7/comments",
        "ASKED": str(place / "asked"),
        "OLD": old,
        "CHECK": check,
    }
    for name in ("Write the tables", "Comment the tables"):
        script = step(name)["run"].replace("${{ github.repository }}", "me/boards")
        assert "${{" not in script, "nothing of a pull request is pasted into a script"
        subprocess.run(["bash", "-e", "-o", "pipefail", "-c", script], cwd=folder, env=known, check=True)
    asked = (place / "asked").read_text().splitlines()
    assert (place / "summary.md").read_text() == (folder / "comment.md").read_text()
    return (folder / "comment.md").read_text(), asked


def test_the_changed_boards_table_is_commented(checkout):
    comment, asked = run_steps(checkout)
    assert comment == f"{MARK}\nThe boards follow from their records.\n\n# two\n\n| after |\n"
    assert asked[-1] == "api repos/me/boards/issues/7/comments --field body=@comment.md"


def test_a_second_push_replaces_the_comment(checkout):
    _, asked = run_steps(checkout, old="41\n")
    assert asked[-1] == "api --method PATCH repos/me/boards/issues/comments/41 --field body=@comment.md"
    assert len(asked) == 2


@pytest.mark.parametrize("outcome", ["failure", "skipped", "cancelled", ""])
def test_a_comment_says_that_the_check_did_not_pass(checkout, outcome):
    comment, _ = run_steps(checkout, check=outcome)
    assert comment.splitlines()[1] == "**The check of the boards did not pass**; its log says why."
    assert step("Write the tables")["env"] == {"CHECK": "${{ steps.check.outcome }}"}


def test_a_failed_check_is_commented_too_and_forks_are_not():
    for name in ("Write the tables", "Comment the tables"):
        assert step(name)["if"].startswith("always()")
    assert "head.repo.full_name == github.repository" in step("Comment the tables")["if"], "a fork's token cannot write"
