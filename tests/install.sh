# What the checks of this folder need of other people's software, and how it is installed. To be sourced.

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# install PACKAGES…: by the system's package manager.
install() {
    if ! command -v apt-get >/dev/null; then
        echo "install $* first: this script knows apt-get only" >&2
        return 1
    fi
    as_root apt-get update -qq
    as_root apt-get install -y -qq "$@" >/dev/null
}

# python_with HOME REQUIREMENTS: a virtual environment in HOME/python with what the file asks for, made anew
# when that has changed.
python_with() {
    mkdir -p "$1"
    if cmp -s "$2" "$1/requirements.txt"; then return; fi
    python3 -c 'import venv, ensurepip' 2>/dev/null || install python3 python3-venv
    rm -rf "$1/python"
    python3 -m venv "$1/python"
    "$1/python/bin/pip" install --quiet --disable-pip-version-check --requirement "$2"
    cp "$2" "$1/requirements.txt"
}
