#!/bin/sh
# Builds a current runsc by gVisor's documented Go recipe: scripts/build-runsc.sh [TARGET]
#
# The version is one of gVisor's `go` branch, by which it can be built with Go alone
# (gvisor.dev/docs/user_guide/install, "using go get"). FLOTILLA_GVISOR_VERSION names another.
# Needs Go 1.26.3 or newer and the Go module proxy; takes about a minute.
set -eu
version="${FLOTILLA_GVISOR_VERSION:-v0.0.0-20260701204157-69c2d17aea96}"
target="${1:-/usr/local/bin/runsc}"
if ! command -v go >/dev/null; then
  echo "build-runsc: there is no Go here; install Go 1.26.3 or newer, or Debian's package runsc" >&2
  exit 1
fi
built="$(mktemp -d)"
trap 'rm -rf "$built"' EXIT
GOBIN="$built" CGO_ENABLED=0 GOFLAGS=-buildvcs=false go install "gvisor.dev/gvisor/runsc@$version"
"$built/runsc" --version >/dev/null
install -D -m 0755 "$built/runsc" "$target"
echo "built runsc $version as $target"
