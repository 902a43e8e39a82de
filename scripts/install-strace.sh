#!/bin/sh
# Installs strace, which some rows of `npm run test:faults` need, by the system's package manager. Exit code 1: it is
# not there afterwards, and those rows are skipped.
set -u
command -v strace >/dev/null && exit 0
if command -v apt-get >/dev/null; then apt-get install -y strace || { apt-get update && apt-get install -y strace; }
elif command -v dnf >/dev/null; then dnf install -y strace
elif command -v apk >/dev/null; then apk add strace
elif command -v pacman >/dev/null; then pacman -S --noconfirm strace
fi
command -v strace >/dev/null
