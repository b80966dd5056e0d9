# Two stages: what builds the wheels stays behind.
FROM python:3.11-slim AS build
WORKDIR /src
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY bin bin
COPY docs/openapi.yaml docs/
COPY migrations migrations
COPY pushrelay pushrelay
RUN pip wheel --no-cache-dir --wheel-dir /wheels ".[postgres]"

FROM python:3.11-slim
# The stage before made one version of it, and no other is there.
# hadolint ignore=DL3013
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels "pushrelay[postgres]" \
    && install -d -o 65532 -g 65532 /data
ENV PUSHRELAY_DATABASE_URL=sqlite:////data/pushrelay.db
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 9091
# With a route prefix or another port, give the container a health check of your own.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s CMD [ \
    "python", "-c", \
    "import urllib.request as u; u.urlopen('http://127.0.0.1:9091/-/ready', timeout=4)" \
]
ENTRYPOINT ["pushrelay"]
CMD ["serve"]
