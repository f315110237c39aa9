exec /bin/sh -c '
umask 077;
as=root; run=;
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null 2>&1; then as=no-sudo;
  elif sudo -n true >/dev/null 2>&1; then as=sudo; run="sudo -n";
  else as=no-right; fi;
fi;
b=/usr/local/lib/landfall/current/landfall;
have=$(sha256sum "$b" 2>/dev/null | cut -c -64);
echo "landfall-server 1 $(uname -s) $(uname -m) $as ${have:-none}";
read -r size sum || exit 0;
if [ "$size" != 0 ]; then
  d=$($run mktemp -d /usr/local/lib/landfall-new.XXXXXXXXXX) || exit 1;
  trap "$run rm -rf -- $d" EXIT; trap "exit 1" HUP INT TERM PIPE;
  b=$d/landfall;
  head -c "$size" | $run tee "$b" >/dev/null || exit 1;
  echo "$sum  $b" | $run sha256sum --check --status || { echo "the program arrived damaged" >&2; exit 1; };
  $run chmod 700 "$b";
  $run timeout -k 2 10 "$b" --version >&2 </dev/null || {
    sed -n "s/^PRETTY_NAME=/landfall-system: /p" /etc/os-release >&2;
    echo "landfall-libc: $(getconf GNU_LIBC_VERSION 2>/dev/null)" >&2;
    echo "landfall --version: no answer" >&2; exit 1; };
fi;
$run env "LANDFALL_FROM=${SSH_CONNECTION:-}" "LANDFALL_LOGIN=$(id -un)" "$b" server-side --received "$b";
'
