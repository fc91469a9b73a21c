# The command `cdc` as an image; `docker compose up` shows it at work.
# The full image has the C compiler that builds the compiled decoder.
FROM python:3.12 AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY .ci/build_compiled.py .ci/
COPY cdc cdc
COPY schemas schemas
RUN CDC_REQUIRE_COMPILED=1 pip wheel --no-cache-dir --wheel-dir /wheels ".[all]"

FROM python:3.12-slim
RUN useradd --create-home --uid 10001 cdc
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links /wheels "lockstep-cdc[all]" && rm -rf /wheels
USER cdc
WORKDIR /home/cdc
# A status page that is not on loopback needs CDC_METRICS_TOKEN; the health check asks from inside.
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=12 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9187/healthz', timeout=2)"]
ENTRYPOINT ["cdc"]
CMD ["--help"]
