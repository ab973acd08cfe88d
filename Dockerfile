# Build: docker build -t k2workers .
# Run:   docker run --read-only --name k2-binance-stream -v k2:/var/lib/k2workers/state -p 127.0.0.1:9091:9091 -p 127.0.0.1:5555:5555 -p 127.0.0.1:5556:5556 -p 127.0.0.1:5557:5557 k2workers --shards 8
# Any images will do that have the same Python 3.11 or newer at the same place, the first with venv, a C compiler and Python's headers:
#   docker build --build-arg BUILD_BASE=… --build-arg BASE=… .
# Not the slim one: it has the compiler that builds the native lane.
ARG BUILD_BASE=python:3.11
ARG BASE=python:3.11-slim

FROM ${BUILD_BASE} AS packages
COPY config/requirements.txt /tmp/requirements.txt
RUN python3 -m venv /opt/k2workers && \
    /opt/k2workers/bin/pip install --no-cache-dir --no-deps --require-hashes -r /tmp/requirements.txt && \
    # An image runs, and installs nothing.
    /opt/k2workers/bin/pip uninstall --yes --quiet setuptools pip
COPY k2workers /srv/k2workers
RUN PYTHONPATH=/srv /opt/k2workers/bin/python -m k2workers.native

FROM ${BASE}
ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="k2-binance-stream" \
      org.opencontainers.image.description="Keeps a market's live feed flowing: sharded workers, rotating WebSocket connections, ZeroMQ, Prometheus" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT"
# A number, so that whoever forbids root can see that it is none.
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/k2workers k2workers && \
    install --directory --owner=k2workers /var/lib/k2workers/state
COPY --from=packages /opt/k2workers /opt/k2workers
COPY --from=packages /srv/k2workers /srv/k2workers
# The user below may not write the bytecode: without it every process would compile every module at each start.
RUN /opt/k2workers/bin/python -m compileall -q /srv/k2workers
COPY config/k2workers.toml /var/lib/k2workers/config/k2workers.toml
USER 10001
WORKDIR /var/lib/k2workers
# Inside a container, ports are published by the container's network, not by loopback.
ENV PYTHONPATH=/srv \
    PYTHONUNBUFFERED=1 \
    K2_HTTP_HOST=0.0.0.0 \
    K2_PUBLISH_ENDPOINT=tcp://0.0.0.0:5555 \
    K2_SNAPSHOT_ENDPOINT=tcp://0.0.0.0:5556 \
    K2_CHECKPOINT=/var/lib/k2workers/state/checkpoint
# With a volume here, the feed continues after the container is replaced. Nothing else need be written: sockets and metrics find room in /tmp or /dev/shm.
VOLUME /var/lib/k2workers/state
EXPOSE 9091 5555 5556 5557 5558
STOPSIGNAL SIGTERM
# Asks where the feed really listens, whatever port it was given.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["/opt/k2workers/bin/python", "-m", "k2workers.health"]
# Exec form: Python is PID 1 and receives SIGTERM itself; it drains and reaps its children.
ENTRYPOINT ["/opt/k2workers/bin/python", "-m", "k2workers"]
