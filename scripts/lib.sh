# Sourced by the scripts beside it, with `root` set.

say() {
    printf '%s\n' "$*"
}

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# missing_packages SET...: those of scripts/packages that are not there.
missing_packages() {
    local set package command
    while read -r set package command; do
        case " $* " in
        *" $set "*) ;;
        *) continue ;;
        esac
        if [ -n "$command" ] && command -v "$command" >/dev/null; then
            continue
        fi
        if [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            printf '%s\n' "$package"
        fi
    done < <(grep -v '^#' "$root/scripts/packages")
}

# install_packages SET...: makes sure that all of them are there, or says what to do and ends.
install_packages() {
    local missing prefix=()
    command -v dpkg-query >/dev/null || die "this needs Debian 12; the packages it wants are in scripts/packages"
    mapfile -t missing < <(missing_packages "$@")
    if [ ${#missing[@]} -eq 0 ]; then
        return
    fi
    say "Missing Debian packages: ${missing[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null || ! { sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }; }; then
            die "not root, and sudo is not to be had. Please run as root: apt-get install --no-install-recommends ${missing[*]}"
        fi
        prefix=(sudo)
    fi
    export DEBIAN_FRONTEND=noninteractive
    "${prefix[@]}" apt-get update || say "apt-get update failed; trying with the lists that are here"
    "${prefix[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends "${missing[@]}" ||
        die "apt-get could not install: ${missing[*]}"
}

# build_preset NAME: configures once, then only builds.
build_preset() {
    [ -f "$root/build/$1/Makefile" ] || (cd "$root" && cmake --preset "$1") || return
    (cd "$root" && cmake --build --preset "$1")
}
