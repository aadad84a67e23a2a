# Two stages: the first builds and installs with hashes, the second holds only what runs.
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim AS build
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
COPY requirements/run.txt requirements/build.txt requirements/
RUN python -m venv /opt/koinon \
    && /opt/koinon/bin/pip install --no-deps --require-hashes --only-binary :all: --requirement requirements/run.txt \
    && /opt/koinon/bin/pip check \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --no-deps --require-hashes --only-binary :all: --requirement requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY platform platform
COPY partners partners
COPY offers offers
COPY settlement settlement
RUN /opt/build/bin/hatchling build --target wheel --directory dist \
    && /opt/koinon/bin/pip install --no-index --no-deps dist/*.whl

FROM python:${PYTHON_VERSION}-slim
# The folder holds the installation's keys and the log's last checkpoint: a volume that every process shares.
RUN useradd --system --uid 10001 --home-dir /var/lib/koinon --create-home --shell /usr/sbin/nologin koinon
COPY --from=build /opt/koinon /opt/koinon
ENV PATH=/opt/koinon/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    KOINON_FOLDER=/var/lib/koinon \
    KOINON_HOST=0.0.0.0 \
    KOINON_PORT=8700
WORKDIR /var/lib/koinon
VOLUME /var/lib/koinon
USER koinon
EXPOSE 8700
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8700/health', timeout=2)"]
ENTRYPOINT ["koinon"]
CMD ["serve"]
