#!/usr/bin/env bash
# Everything that `make demo` and `make test` need: OS packages, venv, pinned dependencies.
# Idempotent; a second run finds the stamp and ends at once.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
    python3-venv python3-gi python3-gst-1.0
    gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
    gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-rtsp
    gir1.2-gstreamer-1.0 gir1.2-gst-plugins-base-1.0 gir1.2-gst-plugins-bad-1.0
    gir1.2-gst-rtsp-server-1.0 libgstrtspserver-1.0-0
    mosquitto
)
# What the cloud's parts and their tests need beside; without root they are left out, and
# 'make cloud-up' and the tests say so.
cloud_packages=(prometheus prometheus-alertmanager)
compgen -G '/usr/lib/postgresql/1[5-9]/bin/initdb' >/dev/null || cloud_packages+=(postgresql)
python=/usr/bin/python3
venv=.venv
distributions=(services/contracts services/kit "services/ingest[postgresql]" services/registry
               services/campaigns services/ctl "edge[pyav,opcua,gpio,console,notify]" models cloud/demo cloud/stack cloud/provisioning
               dashboards)

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 2; }

root=()
((EUID == 0)) || root=(sudo)

is_installed() {
    dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

apt() {
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@" \
        >/dev/null
}

install_packages() {
    local missing=() cloud=()
    for package in "${packages[@]}"; do is_installed "$package" || missing+=("$package"); done
    for package in "${cloud_packages[@]}"; do is_installed "$package" || cloud+=("$package"); done
    ((${#missing[@]} + ${#cloud[@]} == 0)) && return
    if ((EUID != 0)) && ! command -v sudo >/dev/null; then
        ((${#missing[@]} == 0)) || die "these packages are missing and neither root nor sudo \
is at hand; install them and run this again: apt-get install ${missing[*]}"
        say "left out, for want of root or sudo: apt-get install ${cloud[*]}"
        return
    fi
    say "OS packages: ${missing[*]} ${cloud[*]}"
    apt update
    ((${#missing[@]} == 0)) || apt install -y --no-install-recommends "${missing[@]}"
    ((${#cloud[@]} == 0)) || install_idle "${cloud[@]}" \
        || say "left out: apt-get install ${cloud[*]} did not work"
}

# Debian starts a server when it is installed. Here none is to run, now or after the next boot; one
# that was there before is left as it is.
install_idle() {
    local policy=/usr/sbin/policy-rc.d placed='' status=0 units=() package
    for package in "$@"; do
        [[ $package == postgresql ]] && is_installed postgresql-common || units+=("$package")
    done
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
        "${root[@]}" chmod 755 "$policy"
        placed=1
    fi
    apt install -y --no-install-recommends "$@" || status=$?
    [[ -z $placed ]] || "${root[@]}" rm -f "$policy"
    if [[ -d /run/systemd/system ]] && ((${#units[@]})); then
        "${root[@]}" systemctl disable --quiet "${units[@]}" || true
    fi
    return "$status"
}

make_venv() {
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
        || die "$python is older than 3.11; Debian 12, Ubuntu 24.04 or newer is needed"
    if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
        say "virtual environment in $venv"
        "$python" -m venv --clear "$venv"
    fi
    # PyGObject comes with the OS: its wheel does not exist, and GStreamer's overrides need it.
    local site
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    ln -sfn /usr/lib/python3/dist-packages/gi "$site/gi"
}

install_dependencies() {
    local pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
    local editable=()
    for distribution in "${distributions[@]}"; do editable+=(-e "$distribution"); done
    say "Python packages, pinned by constraints.txt"
    "${pip[@]}" --upgrade pip
    "${pip[@]}" -c constraints.txt -r tools/requirements-dev.txt
    "${pip[@]}" -c constraints.txt --no-build-isolation "${editable[@]}"
}

stamp=$venv/.shopfloor-setup
wanted=$(cat tools/setup.sh tools/requirements-dev.txt constraints.txt ./*/pyproject.toml \
    ./*/*/pyproject.toml 2>/dev/null | sha256sum)
# The path is part of it: editable installs point into this folder.
wanted="$wanted $PWD"
[[ -f $stamp && $(<"$stamp") == "$wanted" ]] && exit 0

command -v dpkg-query >/dev/null || die "this is no Debian or Ubuntu; see docs for the packages"
install_packages
make_venv
install_dependencies
printf '%s' "$wanted" >"$stamp"
say "ready: make demo, make test"
