//! What the jobs run: POSIX shell, for GitHub's runners and GitLab's alike.
//!
//! Every script is constant. What differs between projects, and whatever a person can type into a form, comes in as a variable of the environment and
//! is only used between quotes, so that no name, tag or branch is ever read as a command (a test runs shellcheck over each of them).

/// Fetches Landfall, compares what came with the digest in this file, and puts it where the next steps find it. `DIR` is a directory of PATH.
pub const INSTALL: &str = r#"mkdir -p "$DIR"
curl --fail --silent --show-error --location --proto '=https' --retry 3 --max-time 300 --output "$DIR/landfall" "$LANDFALL_URL"
echo "$LANDFALL_SHA256  $DIR/landfall" | sha256sum -c -
chmod 755 "$DIR/landfall"
"#;

/// The deploy key and the server's known keys, for `ssh`. Without the latter nothing is trusted on first sight.
pub const SSH: &str = r#"if [ -z "${LANDFALL_SSH_KEY:-}" ] || [ -z "${LANDFALL_KNOWN_HOSTS:-}" ]; then
  echo "set the secret LANDFALL_SSH_KEY and the variable LANDFALL_KNOWN_HOSTS (of ssh-keyscan, compared with the server's own)" >&2
  exit 1
fi
umask 077
mkdir -p "$HOME/.ssh"
printf '%s\n' "$LANDFALL_SSH_KEY" > "$HOME/.ssh/id_ed25519"
printf '%s\n' "$LANDFALL_KNOWN_HOSTS" > "$HOME/.ssh/known_hosts"
"#;

/// Logs in to the registry that images are pushed to.
pub const LOGIN: &str = r#"printf '%s' "$REGISTRY_TOKEN" | docker login --username "$REGISTRY_USER" --password-stdin "$REGISTRY"
"#;

/// Builds one image and pushes it by the commit and by the branch; layers of earlier builds are kept in the registry. A context of its own is what
/// the builder needs where the engine is reached by TLS.
pub const BUILD: &str = r#"set --
while IFS= read -r arg; do
  if [ -n "$arg" ]; then set -- "$@" --build-arg "$arg"; fi
done <<ARGS
$BUILD_ARGS
ARGS
if [ -n "$TARGET" ]; then set -- "$@" --target "$TARGET"; fi
docker context inspect landfall > /dev/null 2>&1 || docker context create landfall
docker buildx use landfall-builder 2> /dev/null || docker buildx create --name landfall-builder --use landfall
docker buildx build --push --file "$DOCKERFILE" \
  --tag "$IMAGE:$TAG" --tag "$IMAGE:$(printf '%s' "$BRANCH" | tr '/' '-')" \
  --cache-from "type=registry,ref=$IMAGE:buildcache" --cache-to "type=registry,ref=$IMAGE:buildcache,mode=max" \
  "$@" "$CONTEXT"
"#;

/// Fails on holes that are serious and that a newer package would close.
pub const SCAN: &str = r#"docker run --rm --env TRIVY_USERNAME --env TRIVY_PASSWORD "$TRIVY" \
  image --exit-code 1 --severity HIGH,CRITICAL --ignore-unfixed --no-progress "$IMAGE:$TAG"
"#;

/// The stage `test` of a Dockerfile.
pub const TEST_STAGE: &str = r#"docker buildx build --target test --file "$DOCKERFILE" "$CONTEXT"
"#;

/// One deploy; `APPROVE` is `--approve` where a person agreed before this job began.
pub const DEPLOY: &str = r#"set --
if [ -n "$ENVIRONMENT" ]; then set -- "$@" "$ENVIRONMENT"; fi
if [ -n "$APPROVE" ]; then set -- "$@" --approve; fi
if [ -n "$TAG" ]; then set -- "$@" --tag "$TAG"; fi
landfall deploy "$@"
"#;

/// Looks at the app as its users do.
pub const VERIFY: &str = r#"if [ -n "$ENVIRONMENT" ]; then landfall verify "$ENVIRONMENT"; else landfall verify; fi
"#;

/// Tells a chat that takes Slack's messages; nobody, when no webhook is set. `MESSAGE` is words of ours and an address.
pub const NOTIFY: &str = r#"if [ -z "${LANDFALL_WEBHOOK:-}" ]; then
  echo "no webhook is set: nobody is told"
  exit 0
fi
printf '{"text":"%s"}' "$MESSAGE" |
  curl --fail --silent --show-error --proto '=https' --max-time 30 --header 'Content-Type: application/json' --data @- "$LANDFALL_WEBHOOK"
"#;
