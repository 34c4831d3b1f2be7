#!/usr/bin/env bash
# Makes sure of the system's tools that a build (`run`) or the tests (`test`) need.
#
#   scripts/setup-system.sh run|test
#
# What is missing is installed where that can be done without asking (as root, with apt-get); elsewhere the
# command that installs it is named and the script fails. Rust itself is never installed, only named.
set -euo pipefail

say() { printf 'system: %s\n' "$*" >&2; }

rust_needed=95 # rust-version 1.95 of the workspaces
case ${1:-} in
    # SQLite and ring are C: they need a compiler and the C library's headers.
    run) needed=("cc:gcc,libc6-dev") ;;
    # strace shows that no answer leaves before the sync that covers it.
    # The tests of the Postgres store and of the NATS queue start servers of their own, whose programs are not in
    # everybody's PATH on Debian.
    # The protocols redis, mqtt, smtp and imap are tried against real servers of their own.
    # Guests in Python and TypeScript are built with the tools of their languages, which come from lock files.
    # The audit's tests change databases by hand, with sqlite3 and psql, and check proofs with Python.
    test)
        PATH=$PATH:/usr/sbin:$(printf "%s:" /usr/lib/postgresql/*/bin)
        needed=("cc:gcc,libc6-dev" "strace:strace" "initdb:postgresql" "nats-server:nats-server" "redis-server:redis-server" "mosquitto:mosquitto" "dovecot:dovecot-imapd" "aiosmtpd:python3-aiosmtpd" "sqlite3:sqlite3" "psql:postgresql-client"
            "python3:python3,python3-venv" "npm:nodejs,npm" "make:make" "rsyslogd:rsyslog,rsyslog-gnutls")
        ;;
    *)
        echo "usage: $0 run|test" >&2
        exit 2
        ;;
esac

failed=no
if ! command -v cargo >/dev/null || ! command -v rustc >/dev/null; then
    say "Rust is missing; install it with rustup or from your system's packages, 1.$rust_needed or newer"
    failed=yes
else
    version=$(rustc --version)
    minor=$(echo "$version" | sed -n 's/^rustc 1\.\([0-9]*\).*/\1/p')
    if [ -n "$minor" ] && [ "$minor" -lt "$rust_needed" ]; then
        say "$version is too old, 1.$rust_needed is needed; run: rustup update stable"
        failed=yes
    fi
fi

missing_tools=()
missing_packages=()
for entry in "${needed[@]}"; do
    command -v "${entry%%:*}" >/dev/null && continue
    missing_tools+=("${entry%%:*}")
    IFS=, read -ra packages <<<"${entry#*:}"
    missing_packages+=("${packages[@]}")
done

if [ ${#missing_tools[@]} -gt 0 ]; then
    if ! command -v apt-get >/dev/null; then
        say "missing: ${missing_tools[*]}; install them with your system's packages"
        failed=yes
    elif [ "$(id -u)" -ne 0 ]; then
        say "missing: ${missing_tools[*]}; run: sudo apt-get install -y ${missing_packages[*]}"
        failed=yes
    else
        say "apt-get install ${missing_packages[*]}"
        # A fresh machine has no package lists yet, an old one has lists whose files are gone.
        export DEBIAN_FRONTEND=noninteractive
        apt-get -qq update >&2 || say "the package lists could not be renewed; trying with those that are here"
        apt-get -qq install -y --no-install-recommends "${missing_packages[@]}" >&2 </dev/null || {
            say "could not install ${missing_packages[*]}; see the lines above"
            failed=yes
        }
    fi
fi

[ "$failed" = no ]
