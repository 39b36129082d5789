#!/usr/bin/env bash
# Makes what was installed into a folder fit for a package; tools/packaging/prepare.cmake calls it. Arguments: DEB or TGZ, the folder,
# the version, the maintainer.
#
# DEB: what Debian's policy asks for: compressed manual pages, changelog and copyright.
# TGZ: every library that the programs need, except those of glibc, lies in lib, where the programs look for it first (RPATH
# $ORIGIN/../lib), each with its licence, and so does what liban needs, which looks beside itself; a font and a configuration for fontconfig
# lie in share/an/fonts. The modules in lib/an use the machine's libraries: MPI must be that of its launcher, CUDA that of its driver.
set -euo pipefail
kind=$1 stage=$2 version=$3 maintainer=$4
here=$(cd "$(dirname "$0")" && pwd)
for tool in dpkg-query patchelf objdump python3; do
    command -v "$tool" >/dev/null || { echo "$tool is missing: tools/packages.sh package installs it" >&2 && exit 1; }
done

if [ "$kind" = DEB ]; then
    date=$(date -u -R -d "@${SOURCE_DATE_EPOCH:-$(git -C "$here" log -1 --format=%ct 2>/dev/null || date +%s)}")
    for root in "$stage"/*/; do
        case $(basename "$root") in
        programs) package=an ;;
        library) package=liban0 ;;
        development) package=liban-dev ;;
        mpi) package=an-mpi ;;
        cuda) package=an-cuda ;;
        *) echo "no package is known for the component $(basename "$root")" >&2 && exit 1 ;;
        esac
        find "$root" -path '*/man/*' -type f ! -name '*.gz' -exec gzip -9n {} +
        doc=$root/usr/share/doc/$package
        mkdir -p "$doc"
        rm -f "$doc/LICENSE" # the copyright file refers to the same text
        [ ! -e "$doc/CHANGELOG.md" ] || gzip -9n "$doc/CHANGELOG.md"
        cp "$here/copyright" "$doc/copyright"
        printf '%s (%s) unstable; urgency=medium\n\n  * Release %s; CHANGELOG.md lists what changed.\n\n -- %s  %s\n' \
            "$package" "$version" "$version" "$maintainer" "$date" | gzip -9n >"$doc/changelog.gz"
        chmod 644 "$doc"/*.gz "$doc/copyright"
    done
    exit
fi

mapfile -t roots < <(find "$stage" -type d -name bin)
[ ${#roots[@]} -eq 1 ] || { echo "expected one folder of programs in $stage" >&2 && exit 1; }
root=$(dirname "${roots[0]}")
library=$root/lib
licenses=$root/share/doc/an/libraries
fonts=$root/share/an/fonts
mkdir -p "$library" "$licenses" "$fonts"

# The licence of the package that a file belongs to.
license() {
    local package
    package=$({ dpkg-query -S "$1" "${1#/usr}" 2>/dev/null || true; } | head -n 1 | cut -d: -f1) # paths before /lib was /usr/lib, too
    if [ -z "$package" ] || ! [ -e "/usr/share/doc/$package/copyright" ]; then
        echo "no licence found for $1" >&2
        return 1
    fi
    cp -L "/usr/share/doc/$package/copyright" "$licenses/$package"
}

# glibc's own libraries must be the machine's: they belong to its kernel, its loader and its name services. NVIDIA's are left
# to its own packages; what is linked statically is named in the file copyright.
glibc='/(ld-linux-x86-64|libc|libm|libdl|libpthread|librt|libresolv|libutil)\.so'
nvidia='(libcuda|libcudart|libcudnn|libcublas|libcublasLt|libnv[A-Za-z]*)[_a-z]*\.so'
mapfile -t programs < <(find "$root/bin" -type f)
mapfile -t tests < <(find "$library/an/tests" -type f 2>/dev/null)
mapfile -t modules < <(find "$library/an" -maxdepth 1 -type f -name '*.so' 2>/dev/null)
mapfile -t own < <(find "$library" -maxdepth 1 -type f -name 'liban.so*')
ldd "${programs[@]}" "${tests[@]}" "${own[@]}" | grep -vE "^\s$nvidia" >"$stage.ldd"
if grep 'not found' "$stage.ldd" >&2; then
    exit 1
fi
while read -r name path; do
    real=$(readlink -f "$path")
    install -m 644 "$real" "$library/$name"
    license "$real"
done < <(awk '$2 == "=>" { print $1, $3 }' "$stage.ldd" | grep -vE "$glibc" | sort -u)
rm "$stage.ldd"

# An RPATH, not a RUNPATH: it also counts for what the libraries need, so that they stay as they are.
patchelf --force-rpath --set-rpath "\$ORIGIN/../lib" "${programs[@]}"
patchelf --force-rpath --set-rpath "\$ORIGIN" "${own[@]}"
mapfile -t libraries < <(find "$library" -maxdepth 1 -type f -name '*.so*')
strip --strip-unneeded "${libraries[@]}"

# Programs and libraries start from glibc 2.35 on (Ubuntu 22.04); the build stops here where they could not.
"${CC:-cc}" -O2 -shared -fPIC -s "$here/arc4random.c" -o "$library/liban_arc4random.so"
patchelf --add-needed liban_arc4random.so "${programs[@]}" "${tests[@]}" "${own[@]}"
python3 "$here/older_glibc.py" 2.35 "${programs[@]}" "${tests[@]}" "${modules[@]}" "${libraries[@]}"

for font in DejaVuSans.ttf DejaVuSans-Bold.ttf; do
    install -m 644 "/usr/share/fonts/truetype/dejavu/$font" "$fonts/"
done
license /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf
install -m 644 "$here/fonts.conf" "$fonts/"
