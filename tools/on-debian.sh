#!/usr/bin/env bash
# Runs a command in this source tree on a bare Debian of another release, so that "a fresh machine" can be tried:
#
#     tools/on-debian.sh trixie tools/demo.sh --short
#     tools/on-debian.sh --fresh --with=build/packages bookworm sh -c 'apt-get install -y ./build/packages/an_*.deb'
#
# debootstrap unpacks a minimal system once into build/debian/RELEASE (AN_DEBIAN names another folder). --fresh, or an age of
# four weeks, unpacks it anew. Each run works on a copy of it and removes the copy afterwards, unless AN_KEEP=1. The command
# starts in /an, which holds a copy of the files that git tracks here and of new ones that it does not ignore; --with=PATH adds
# an ignored file or folder. The command sees its own processes and a /dev of its own, without this machine's devices.
#
# Needs root, debootstrap and a mirror: AN_MIRROR, else the first one that apt uses here, else deb.debian.org. Several runs
# may go on at once. The exit status is the command's; 77 where this machine cannot run it.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    sed -n '2,/^set /p' "$0" | sed '/^set /d; s/^# \{0,1\}//' >&2
    exit 2
}

cannot() {
    echo "on-debian: $*" >&2
    exit 77
}

fresh=0 with=()
while [ $# -gt 0 ]; do
    case $1 in
    --fresh) fresh=1 ;;
    --with=?*) with+=("${1#--with=}") ;;
    *) break ;;
    esac
    shift
done
if [ $# -lt 2 ] || ! [[ $1 =~ ^[a-z]+$ ]]; then
    usage
fi
release=$1
shift

[ "$(id -u)" -eq 0 ] || cannot "must be root, who alone may change the root folder"
command -v debootstrap >/dev/null || cannot "debootstrap is missing: apt-get install debootstrap"
unshare --mount --pid --fork true 2>/dev/null || cannot "this machine allows no new namespaces"

# The first Debian mirror in apt's one-line (.list) or deb822 (.sources) files.
host_mirror() {
    find /etc/apt -name '*.list' -o -name '*.sources' | sort | while read -r file; do
        sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb (\[[^]]*\] )?([^ ]+) .*/\2/p' "$file"
    done | grep '/debian/\?$' | head -n 1 || true
}

# The system as debootstrap leaves it, with this machine's proxy.
make_base() {
    local mirror=${AN_MIRROR:-} proxy include=()
    [ -n "$mirror" ] || mirror=$(host_mirror)
    mirror=${mirror:-http://deb.debian.org/debian}
    [[ $mirror != https:* ]] || include=(--include=ca-certificates)
    echo "on-debian: unpacking $release from $mirror" >&2
    rm -rf --one-file-system "$base.partial"
    debootstrap --variant=minbase "${include[@]}" "$release" "$base.partial" "$mirror" >"$base.log" 2>&1 || {
        tail -n 5 "$base.log" >&2
        rm -rf --one-file-system "$base.partial"
        return 1
    }
    proxy=$(apt-config dump 2>/dev/null | grep -E '^Acquire::https?::Proxy ' || true)
    [ -z "$proxy" ] || echo "$proxy" >"$base.partial/etc/apt/apt.conf.d/80proxy"
    rm -f "$base.partial"/var/cache/apt/archives/*.deb
    rm -rf --one-file-system "$base"
    mv "$base.partial" "$base"
    date -u +%F >"$base.date"
}

# What was mounted lives in the command's own namespace and is gone with it: removing this folder reaches nothing else.
child='' root=''
# shellcheck disable=SC2317 # called by the trap
finish() {
    trap '' INT TERM HUP
    [ -z "$child" ] || { kill -KILL "$child" && wait "$child"; } 2>/dev/null || true
    [ -n "$root" ] || return 0
    if [ "${AN_KEEP:-}" = 1 ]; then
        mv "$root" "${root/\/tree-/\/kept-}"
        echo "on-debian: kept ${root/\/tree-/\/kept-}" >&2
    else
        rm -rf --one-file-system "$root"
    fi
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# One run at a time unpacks and copies. A run holds a lock on its folder; one without was left by a run that was killed.
store=${AN_DEBIAN:-build/debian}
mkdir -p "$store"
store=$(cd "$store" && pwd)
base=$store/$release
exec {store_lock}>"$store/lock"
flock "$store_lock"
for left in "$store"/tree-*; do
    [ -d "$left" ] && flock --nonblock "$left" true && rm -rf --one-file-system "$left"
done
[ -z "$(find "$base.date" -mtime +28 2>/dev/null)" ] || fresh=1
if [ ! -e "$base.date" ] || [ "$fresh" -eq 1 ]; then
    make_base || {
        [ -e "$base.date" ] || cannot "debootstrap could not unpack $release"
        echo "on-debian: going on with the system unpacked on $(cat "$base.date")" >&2
    }
fi
root=$(mktemp -d "$store/tree-$release-XXXXXX")
exec {root_lock}<"$root"
flock --shared "$root_lock"
cp -a --reflink=auto "$base/." "$root/"
flock --unlock "$store_lock"

# The network as this machine sees it; pip's index, and the certificates that it is known by here, belong to that.
for file in resolv.conf hosts pip.conf; do
    [ ! -e "/etc/$file" ] || cp -L "/etc/$file" "$root/etc/$file"
done
pip=()
[ -z "${PIP_INDEX_URL:-}" ] || pip+=("PIP_INDEX_URL=$PIP_INDEX_URL")
certificates=${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}
if [ -e "$certificates" ]; then
    cp -L "$certificates" "$root/etc/certificates.pem"
    pip+=("PIP_CERT=/etc/certificates.pem")
fi
mkdir "$root/an"
{
    git -c safe.directory='*' ls-files -z --cached --others --exclude-standard
    [ ${#with[@]} -eq 0 ] || printf '%s\0' "${with[@]}"
} | while IFS= read -r -d '' file; do
    [ ! -e "$file" ] || printf '%s\0' "$file"
done | tar --null -T - -cf - | tar -C "$root/an" --no-same-owner -xf -

# Whatever ends this script ends the command with all that it started.
# shellcheck disable=SC2016 # expanded inside
setpriv --pdeathsig KILL unshare --mount --propagation private --pid --fork --kill-child bash -c '
    set -e
    root=$1 pip=$2
    shift 2
    mount -t proc proc "$root/proc"
    mount --rbind -o ro /sys "$root/sys"
    mount -t tmpfs -o mode=755 dev "$root/dev"
    for node in null zero full random urandom tty; do
        touch "$root/dev/$node"
        mount --bind "/dev/$node" "$root/dev/$node"
    done
    mkdir "$root/dev/pts" "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$root/dev/pts"
    mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    ln -s /proc/self/fd/0 "$root/dev/stdin"
    ln -s /proc/self/fd/1 "$root/dev/stdout"
    ln -s /proc/self/fd/2 "$root/dev/stderr"
    exec chroot "$root" /usr/bin/env -i HOME=/root TERM=dumb LC_ALL=C.UTF-8 CI="${CI:-}" \
        http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" no_proxy="${no_proxy:-}" \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin $pip \
        sh -c '\''cd /an && "$@"'\'' sh "$@"
' bash "$root" "${pip[*]}" "$@" <&0 {store_lock}>&- {root_lock}<&- &
child=$!
status=0
wait "$child" || status=$?
child=''
exit "$status"
