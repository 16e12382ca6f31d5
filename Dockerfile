FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/tams
# Dependencies first, in a layer of their own: they change less often than the store.
COPY constraints.txt setup.cfg ./
RUN python -c "import configparser; c = configparser.ConfigParser(); c.read('setup.cfg'); \
extras = c['options.extras_require']; print(c['options']['install_requires'], \
extras['checksums'], extras['postgresql'], extras['vast'])" \
    > requirements.txt \
    && /opt/tams/bin/pip install --constraint constraints.txt pip setuptools \
    && /opt/tams/bin/pip install --constraint constraints.txt --requirement requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY migrations migrations
COPY tams tams
RUN /opt/tams/bin/pip install --no-deps --no-build-isolation . \
    && /opt/tams/bin/pip uninstall --yes setuptools pip

FROM python:3.11-slim-bookworm
# The user is given by number below, because Kubernetes' runAsNonRoot cannot judge a name.
RUN groupadd --gid 10001 tams \
    && useradd --uid 10001 --gid tams --home-dir /var/lib/tams --create-home --shell /usr/sbin/nologin tams
COPY --from=build /opt/tams /opt/tams
ENV PATH=/opt/tams/bin:$PATH PYTHONUNBUFFERED=1 TAMS_DATA_DIR=/var/lib/tams
WORKDIR /var/lib/tams
USER 10001:10001
VOLUME /var/lib/tams
EXPOSE 8000
STOPSIGNAL SIGTERM
# It suits `tams serve`, on whichever port, and `tams worker`.
HEALTHCHECK --interval=30s --timeout=15s --start-period=20s --retries=3 CMD ["tams", "health"]
# Production: the container starts once TAMS_AUTH is set.
CMD ["tams", "serve", "--host", "0.0.0.0", "--port", "8000"]
