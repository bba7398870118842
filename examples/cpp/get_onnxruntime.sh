#!/bin/sh
# Make a folder with ONNX Runtime's C++ headers and its library, for CMAKE_PREFIX_PATH:
#
#     examples/cpp/get_onnxruntime.sh FOLDER [PYTHON]
#
# The library is the one of PYTHON's package onnxruntime, of which the wheel has no headers. Those are Debian 13's
# (libonnxruntime-dev), taken out of the package and not installed, so that an older Debian has them too. A newer
# library runs programs that older headers were used for: its C interface only grows.
set -eu
folder=$1
python=${2:-python3}

library=$("$python" -c '
import importlib.util, pathlib, sys
found = importlib.util.find_spec("onnxruntime")
sys.exit("the Python package onnxruntime is not installed: pip install onnxruntime") if found is None else None
print(*sorted((pathlib.Path(found.origin).parent / "capi").glob("libonnxruntime.so.*"))[:1])')
[ -n "$library" ] || { echo "the Python package onnxruntime has no libonnxruntime.so here" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder/lib" "$work/lists" "$work/archives/partial"

# A package list of its own: nothing of this changes what the machine installs.
archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | sed '/security/d' | head -n 1)
printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s trixie main\n' "$archive" >"$work/sources.list"
apt() {
    apt-get --quiet --quiet -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=- \
        -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work" -o APT::Sandbox::User=root "$@"
}
apt update
(cd "$work" && apt download libonnxruntime-dev)
dpkg-deb --extract "$work"/libonnxruntime-dev_*.deb "$work/package"
cp -R "$work/package/usr/include" "$folder/"

ln -sf "$library" "$folder/lib/libonnxruntime.so.1"
ln -sf libonnxruntime.so.1 "$folder/lib/libonnxruntime.so"
