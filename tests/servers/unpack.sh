#!/usr/bin/env bash
# unpack.sh SUITE CACHE PREFIX PACKAGE… : a Debian package of another release, and all it needs, unpacked into PREFIX.
# Nothing is installed and no maintainer script runs: the system's package lists and database stay as they are, and
# no root is needed. The programs are then made to use the libraries of PREFIX, which must not be moved afterwards.
# Needs apt-get, dpkg-deb and patchelf (PATCHELF names another binary).
set -euo pipefail
SUITE=$1 CACHE=$2 PREFIX=$3; shift 3
APT=$CACHE/apt-$SUITE

# What only maintainer scripts and services need. Packages named on the command line are always taken.
NEEDLESS='adduser base-files bash bsdutils cdebconf coreutils dash debconf debianutils diffutils dpkg findutils gawk
  grep hostname init-system-helpers iproute2 libpam-runtime locales login lsb-base lsof mawk mount netbase passwd perl
  perl-base procps psmisc rsync sed sensible-utils socat ssl-cert sudo sysvinit-utils tar ucf util-linux libc-bin
  postgresql-common postgresql-client-common libdb-* libfile-* libperl* perl-modules* postgresql-common-*
  locales-* python3* systemd* galera* cdebconf* login.defs debconf-* fonts-* libjs-*'

# Own lists and an empty package database: the whole closure counts as missing. The lists are signed, so an old copy
# on a frozen mirror is as good as any.
write_apt_configuration() {
  mkdir -p "$APT"/{etc/apt.conf.d,etc/preferences.d,state/lists/partial,cache/archives/partial}
  : > "$APT/status"
  local mirror
  mirror=$(apt-get indextargets --no-release-info --format '$(REPO_URI) $(COMPONENT)' 'Created-By: Packages' |
    awk '$2 == "main" && /debian/ && !/security/ {print $1; exit}')
  [ -n "$mirror" ] || { echo "no Debian mirror configured: start this server yourself, see docs/testing.md" >&2; exit 1; }
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $SUITE main" > "$APT/etc/sources.list"
  cat > "$APT/apt.conf" <<C
Dir::Etc "$APT/etc";
Dir::Etc::sourcelist "$APT/etc/sources.list";
Dir::Etc::sourceparts "-";
Dir::State "$APT/state";
Dir::State::status "$APT/status";
Dir::Cache "$APT/cache";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Install-Recommends "false";
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
Acquire::Retries "3";
Debug::NoLocking "true";
C
}

wanted() { # package: named, or not needless
  local pattern named
  for named in "${PACKAGES[@]}"; do [ "$1" = "$named" ] && return 0; done
  for pattern in "${NEEDLESS_PATTERNS[@]}"; do [[ $1 == $pattern ]] && return 1; done
  return 0
}

PACKAGES=("$@")
set -f; NEEDLESS_PATTERNS=($NEEDLESS); set +f
write_apt_configuration
export APT_CONFIG=$APT/apt.conf
[ -n "$(find "$APT/updated" -mmin -1440 2>/dev/null)" ] || { apt-get -qq update >&2; touch "$APT/updated"; }

rm -rf "$PREFIX"; mkdir -p "$PREFIX" "$PREFIX.debs"
apt-get -qq -y --print-uris install "$@" | awk -F"'" '/^\x27/ {split($3, part, " "); print part[1]}' |
  while IFS=_ read -r name _; do wanted "$name" && echo "$name" || true; done > "$PREFIX.debs/names"
(cd "$PREFIX.debs" && xargs apt-get -qq download < names)
# packages of merged-usr releases ship only /usr; older ones still name /lib
for folder in bin sbin lib lib64; do mkdir -p "$PREFIX/usr/$folder"; ln -sfn "usr/$folder" "$PREFIX/$folder"; done
for deb in "$PREFIX.debs"/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -C "$PREFIX" --keep-directory-symlink --no-same-owner \
    --exclude=./usr/share/{doc,man,locale,lintian} -xf -
done
rm -rf "$PREFIX.debs"

# links to files of the system's own folders are to those of PREFIX
find "$PREFIX" -lname '/*' | while read -r link; do
  target=$(readlink "$link")
  if [ -e "$PREFIX$target" ]; then ln -sfn "$PREFIX$target" "$link"; fi
done
LIBRARIES=$(dirname "$(find "$PREFIX/usr/lib" -name libc.so.6 | head -n 1)")
LOADER=$(find "$LIBRARIES/" "$PREFIX/usr/lib64/" -name 'ld-linux*' | head -n 1)
shopt -s nullglob
find "$PREFIX"/usr/{bin,sbin} "$PREFIX"/usr/lib/{postgresql,jvm}/*/bin "$PREFIX"/usr/lib/jvm/*/lib/jspawnhelper -type f -perm -100 |
  while read -r program; do
    "${PATCHELF:-patchelf}" --print-interpreter "$program" >/dev/null 2>&1 || continue # a script, or static
    "${PATCHELF:-patchelf}" --force-rpath --set-rpath "$LIBRARIES:$PREFIX/usr/lib/mysql/private:\$ORIGIN/../lib" \
      --set-interpreter "$LOADER" "$program"
  done
chmod -R a+rX "$PREFIX"
touch "$PREFIX/.done"
