# PostgreSQL from Debian's own package, told by the variables of the usual `postgres` image.
# Build: docker build --file postgres.Dockerfile --build-arg BASE_IMAGE=... --tag ... deploy/image/local
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
RUN apt-get update -q \
    && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends postgresql \
    && rm -rf /var/lib/apt/lists/* \
    && ln -s /usr/lib/postgresql/* /opt/postgresql \
    && install --directory --owner postgres --group postgres --mode 700 /var/lib/postgresql/data \
    && install --directory --owner postgres --group postgres --mode 755 /var/run/postgresql
COPY --chmod=755 postgres-start.sh /usr/local/bin/
ENV PATH=/opt/postgresql/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PGDATA=/var/lib/postgresql/data
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["postgres-start.sh"]
CMD ["postgres"]
