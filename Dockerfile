# Which bytes the tag stands for is known where images are fetched:
#   docker buildx imagetools inspect python:3.11-slim
#   docker build --build-arg BASE=python:3.11-slim@sha256:... -t pushrelay .
ARG BASE=python:3.11-slim

# Two stages: what builds the wheels stays behind.
FROM ${BASE} AS build
WORKDIR /src
# Only files with these hashes are taken, those that build others included.
COPY requirements requirements
RUN pip install --no-cache-dir --require-hashes --no-deps -r requirements/build.txt \
    && pip wheel --no-cache-dir --require-hashes --no-deps --no-build-isolation \
        --wheel-dir /wheels -r requirements/runtime.txt
COPY setup.cfg setup.py pyproject.toml README.md LICENSE ./
COPY bin bin
COPY docs/openapi.yaml docs/
COPY migrations migrations
COPY pushrelay pushrelay
# What git knows stays outside: --build-arg COMMIT=$(git rev-parse HEAD)
ARG COMMIT=""
RUN echo "${COMMIT}" >pushrelay/commit.txt \
    && pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

FROM ${BASE}
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --no-deps /wheels/*.whl \
    && install -d -m 0700 -o 65532 -g 65532 /data
ENV PUSHRELAY_DATABASE_URL=sqlite:////data/pushrelay.db
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 9091
# With a route prefix, another port, TLS or passwords, give the container a health check
# of your own.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s CMD [ \
    "python", "-c", \
    "import urllib.request as u; u.urlopen('http://127.0.0.1:9091/-/ready', timeout=4)" \
]
ENTRYPOINT ["pushrelay"]
CMD ["serve"]
