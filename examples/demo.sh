#!/bin/sh
# A first look at gitml: write the shipped example to a temporary folder, run it, change a parameter, run it again.
# Each command is shown before it runs, and any that fails ends the script. Needs gitml on PATH.
set -eu

say() { printf '\n# %s\n' "$1"; }
show() { printf '$ %s\n' "$*"; "$@"; }

work=$(mktemp -d "${TMPDIR:-/tmp}/gitml-demo.XXXXXX")
cd "$work"

say "A small repository: 178 wines, three neural networks in plain Python, a baseline, a report."
show gitml demo wine
printf '$ cd wine\n'
cd wine

say "Run it: a split, a baseline, three networks trained and tested, one report."
show gitml repro

say "Run it again: nothing has changed, so nothing runs."
show gitml repro

say "Train longer. gitml says what that makes stale, and why."
printf "$ sed -i 's/epochs = 60/epochs = 80/' params.toml\n"
sed 's/epochs = 60/epochs = 80/' params.toml >params.new && mv params.new params.toml # -i differs between systems
show gitml status
show gitml why train@hidden=4

say "Run what needs it: the split and the baseline stand."
show gitml repro

say "Go back: the first results come from the cache, and no network is trained again."
show git checkout -q params.toml
show gitml repro

say "The report, and what there is to commit."
show cat report.md
printf '\n'
show git status --short
say "All of it is in $work/wine"
