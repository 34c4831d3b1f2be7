#!/usr/bin/env bash
# Makes Rust able to build guests for wasm32-wasip2.
#
#   scripts/setup-wasm-target.sh          set up, say what was done
#   scripts/setup-wasm-target.sh --env    the same, then print shell code that a guest build evaluates
#
# Two ways lead there:
#
#   rustup   the target comes from rustup's server; a guest build needs nothing special
#   debian   where that server cannot be reached: rustc, the source of its standard library, wasm-ld and
#            wasi-libc come from Debian's packages, unpacked into a cache folder (root is not needed and
#            nothing is installed), and each guest build compiles std for itself
#
# ACTION_SERVICE_WASM_STD=rustup|debian forces a way; the default tries them in this order.
# ACTION_SERVICE_CACHE_DIR is the cache folder (default: ${XDG_CACHE_HOME:-~/.cache}/action-service).
#
# Several may run at once, and a run with nothing left to do takes a fraction of a second.
set -euo pipefail

target=wasm32-wasip2
rust_needed=95 # rust-version 1.95 of the workspaces
way=${ACTION_SERVICE_WASM_STD:-auto}
cache=${ACTION_SERVICE_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/action-service}
print_env=no

# The packages were put together on these suites. Debian 12's compiler runs on any newer glibc as well, so
# the same two are taken on every machine; only the newer suite has a wasi-libc with wasip2 in it.
suite_rust=bookworm
suite_libc=trixie

say() { printf 'wasm target: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

case ${1:-} in
    '') ;;
    --env) print_env=yes ;;
    *) die "unknown argument '$1'; usage: $0 [--env]" ;;
esac
case $way in
    auto | rustup | debian) ;;
    *) die "ACTION_SERVICE_WASM_STD is '$way'; it may be rustup, debian or auto" ;;
esac

# --- the way of rustup

have_target() {
    local libs
    libs=$(rustc --print target-libdir --target "$target" 2>/dev/null) && compgen -G "$libs/libstd-*.rlib" >/dev/null
}

by_rustup() {
    have_target && return 0
    command -v rustup >/dev/null || {
        say "rustup is not installed"
        return 1
    }
    say "rustup target add $target"
    # The limit is for a network that swallows packets instead of refusing them.
    timeout 300 rustup target add "$target" >&2 || {
        say "rustup could not add the target"
        return 1
    }
    have_target
}

# --- the way of Debian's packages

debian_dir() { printf '%s/%s-debian-%s' "$cache" "$target" "$(uname -m)"; }

by_debian() {
    local dir
    dir=$(debian_dir)
    [ -f "$dir/env" ] && return 0

    local tool
    for tool in apt-get apt-cache dpkg-deb dpkg flock tar cargo; do
        command -v "$tool" >/dev/null || die "this way needs '$tool', which is not here. \
On a machine without Debian's tools the target comes from rustup: rustup target add $target"
    done

    mkdir -p "$cache"
    exec 9>"$dir.lock"
    flock 9
    # Another run may have finished while this one waited.
    [ -f "$dir/env" ] && return 0

    # Unpacked beside its final place and moved there when complete: an interrupted run leaves no half.
    local work
    work=$(mktemp -d "$dir.XXXXXX")
    # shellcheck disable=SC2064 # the value of now is meant
    trap "rm -rf '$work'" EXIT
    debian_download "$work"
    debian_unpack "$work"
    debian_env "$work" "$dir"
    rm -rf "$work/apt" "$work/debs" "$dir"
    mv "$work" "$dir"
    trap - EXIT
    say "ready in $dir ($(du -sh "$dir" | cut -f1))"
}

# An apt of our own: its lists, its cache and its sources are in the work folder, so that the machine's own
# stay as they are. Mirrors, proxies and credentials are those of the machine.
private_apt() {
    local command=$1
    shift
    "$command" -c "$work/apt/apt.conf" "$@"
}

debian_download() {
    local work=$1 codename main security keyring signed='' libstd llvm
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    # shellcheck disable=SC2016 # apt's placeholders, not the shell's
    read -r main security < <(apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v codename="$codename" '
            $3 == "main" && $2 == codename && !main { main = $1 }
            $3 == "main" && ($2 == codename "-security" || $2 == codename "/updates") && !security { security = $1 }
            END { print main, security }') || true
    [ -n "${main:-}" ] && [ -n "${security:-}" ] ||
        die "apt's sources name no Debian mirror for '$codename' and '$codename-security'; this way needs both"
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -f "$keyring" ] && signed="[signed-by=$keyring] "

    mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/debs"
    cat >"$work/apt/sources.list" <<SOURCES
deb $signed$main $suite_rust main
deb $signed$security $suite_rust-security main
deb $signed$main $suite_libc main
SOURCES
    cat >"$work/apt/preferences" <<PREFERENCES
Package: *
Pin: release n=$suite_libc
Pin-Priority: 100

Package: wasi-libc
Pin: release n=$suite_libc
Pin-Priority: 900
PREFERENCES
    cat >"$work/apt/apt.conf" <<CONF
Dir::Etc::sourcelist "$work/apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "$work/apt/preferences";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "$work/apt/lists";
Dir::Cache "$work/apt/cache";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::Retries "3";
APT::Sandbox::User "";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
CONF
    say "reading the package lists of Debian's $suite_rust, $suite_rust-security and $suite_libc"
    private_apt apt-get -qq update >&2 || die "the package lists could not be read; see the lines above"

    # The two whose names carry a version are asked for, so that an update of the compiler does not break this.
    libstd=$(private_apt apt-cache depends libstd-rust-web-dev | awk '$1 == "Depends:" && /libstd-rust-web-/ { print $2; exit }')
    llvm=$(private_apt apt-cache depends "${libstd:-none}" 2>/dev/null | awk '$1 == "Depends:" && /libllvm/ { print $2; exit }')
    [ -n "$libstd" ] && [ -n "$llvm" ] || die "Debian's $suite_rust-security has no rustc-web any more"

    say "downloading rustc-web, rust-web-src, $llvm, lld-${llvm#libllvm} and wasi-libc (about 140 MB)"
    # The last two lines are what LLVM is linked to; most machines lack one or the other.
    (cd "$work/debs" && private_apt apt-get -qq download \
        rustc-web libstd-rust-web-dev "$libstd" rust-web-src rust-web-clippy "$llvm" "lld-${llvm#libllvm}" wasi-libc \
        libedit2 libbsd0 libmd0 libtinfo6 libffi8 \
        libxml2 libicu72 liblzma5 libz3-4 libzstd1 zlib1g) >&2 || die "the packages could not be downloaded"
}

debian_unpack() {
    local work=$1 deb
    say "unpacking"
    for deb in "$work"/debs/*.deb; do
        case $deb in
            # 300 MB of compiler source that nobody reads here stay packed.
            */rust-web-src_*) dpkg-deb --fsys-tarfile "$deb" |
                tar -x -C "$work" --wildcards './usr/lib/rustlib/src*' './usr/src/*/library' ;;
            *) dpkg-deb -x "$deb" "$work" ;;
        esac
    done
    rm -rf "$work/usr/share/doc" "$work/usr/share/man"
}

# Writes the compiler's wrapper and the variables of a guest build. Paths are those of the final place.
debian_env() {
    local work=$1 dir=$2 triplets triplet wasm_lds wasm_ld linker version
    # Packages of the releases differ in where the C libraries are; both places are listed.
    triplets=("$work"/usr/lib/*-linux-gnu)
    triplet=${triplets[0]##*/}
    cat >"$work/rustc" <<WRAPPER
#!/bin/sh
# Debian's rustc, with the libraries that it was unpacked with.
here=\$(dirname "\$0")
export LD_LIBRARY_PATH="\$here/usr/lib/$triplet:\$here/lib/$triplet:\$here/usr/lib"
exec "\$here/usr/bin/rustc" "\$@"
WRAPPER
    wasm_lds=("$work"/usr/lib/llvm-*/bin/wasm-ld)
    wasm_ld=${wasm_lds[0]#"$work/"}
    cat >"$work/wasm-ld" <<WRAPPER
#!/bin/sh
# Debian's wasm-ld, likewise.
here=\$(dirname "\$0")
export LD_LIBRARY_PATH="\$here/usr/lib/$triplet:\$here/lib/$triplet"
exec "\$here/$wasm_ld" "\$@"
WRAPPER
    cat >"$work/cargo-clippy" <<WRAPPER
#!/bin/sh
# Debian's clippy: that of another toolchain cannot read what this compiler compiled.
here=\$(dirname "\$0")
export LD_LIBRARY_PATH="\$here/usr/lib/$triplet:\$here/lib/$triplet:\$here/usr/lib"
exec "\$here/usr/bin/cargo-clippy" "\$@"
WRAPPER
    chmod +x "$work/rustc" "$work/wasm-ld" "$work/cargo-clippy"

    version=$("$work/rustc" --version) || die "Debian's rustc does not run here; see the line above"
    [ "$(echo "$version" | cut -d. -f2)" -ge "$rust_needed" ] || die "Debian has $version; 1.$rust_needed is needed"
    "$work/wasm-ld" --version >/dev/null || die "Debian's wasm-ld does not run here; see the line above"
    [ -f "$work/usr/lib/$target/crt1-reactor.o" ] || die "wasi-libc of $suite_libc has no $target"
    linker=$(component_linker)
    # A copy, because toolchains come and go.
    cp "$linker" "$work/wasm-component-ld"
    say "$version"

    cat >"$work/env" <<ENV
# Written by scripts/setup-wasm-target.sh. For builds of guests only: the host is built as ever.
export RUSTC='$dir/rustc'
# Lets a released compiler take -Zbuild-std.
export RUSTC_BOOTSTRAP=1
# Flags of the surroundings would replace those of the target.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS
export CARGO_TARGET_WASM32_WASIP2_LINKER='$dir/wasm-component-ld'
# The C library is outside of rustc's own folder, hence no self-contained linking; then crt1 is ours to name.
export CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS='-Clink-self-contained=no -Lnative=$dir/usr/lib/$target -Clink-arg=$dir/usr/lib/$target/crt1-reactor.o -Clink-arg=--wasm-ld-path=$dir/wasm-ld'
guest_cargo_flags='-Zbuild-std=std,panic_abort'
guest_cargo_clippy='$dir/cargo-clippy'
ENV
}

# Debian does not package wasm-component-ld. Toolchains of rustup bring it, with or without the target.
component_linker() {
    local found
    found=$(rustc --print sysroot 2>/dev/null)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/wasm-component-ld
    if [ -x "$found" ]; then
        echo "$found"
    elif found=$(command -v wasm-component-ld); then
        echo "$found"
    else
        found=$cache/tools/bin/wasm-component-ld
        [ -x "$found" ] || {
            say "building wasm-component-ld"
            cargo install wasm-component-ld --locked --version 0.5.31 --root "$cache/tools" >&2
        }
        echo "$found"
    fi
}

# --- choose

command -v cargo >/dev/null || die "cargo is not here; install Rust 1.$rust_needed or newer"

case $way in
    rustup) by_rustup || die "the target is not there; run: rustup target add $target" ;;
    debian) by_debian ;;
    auto)
        if have_target; then
            way=rustup
        elif [ -f "$(debian_dir)/env" ]; then
            way=debian
        elif by_rustup; then
            way=rustup
        else
            say "taking Debian's packages instead"
            by_debian
            way=debian
        fi
        ;;
esac

if [ "$print_env" = no ]; then
    say "ready ($way)"
elif [ "$way" = debian ]; then
    cat "$(debian_dir)/env"
fi
