# trac-gateway as an image: non-root, runs with a read-only root file system. Holds no configuration:
# mount gateway.yaml and its secrets (deploy/compose.yaml shows all of it).
#
# The base is pinned by tag and digest (Node 24.21.0 of October 2026, the index of all platforms). The digest was taken from
# public build files that pin this tag: where this was written no registry could be asked. deploy/pin-base-image
# asks one and moves the digest, at each release (deploy/docs/releasing.md). deploy/test-image builds this very file.

FROM node:24-bookworm-slim@sha256:d6aa754f16b3197301076f047b5def2f02ea1dbbc2ca920407d46d7ec7f87b20 AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY src ./src
COPY deploy/make-bundle.mjs ./deploy/
# The demo runs from a checkout: its provider is a development dependency.
# Few files start faster than hundreds. Of each package that is in them, package.json and licence stay, for scanners.
# Some packages bring the keys of their tests along, which scanners take for ours.
RUN npm run build && npm run sbom && node deploy/make-bundle.mjs . && npm prune --omit=dev --ignore-scripts \
  && find node_modules -path '*/test/*' -name '*.key' -delete

FROM node:24-bookworm-slim@sha256:d6aa754f16b3197301076f047b5def2f02ea1dbbc2ca920407d46d7ec7f87b20
ENV NODE_ENV=production
# Inside the container all addresses, so that Prometheus and probes come in; never publish this port.
ENV TRAC_GATEWAY_ADMIN_LISTEN=0.0.0.0:9464
ENV TRAC_GATEWAY_LISTEN=0.0.0.0:8080
# Where revocations and keys outlive a restart (session.revocationFile, identity.keys.cacheFile). Nothing here installs
# packages or becomes another user any more.
RUN install -d -o 1000 -g 1000 -m 0700 /var/lib/trac-gateway \
  && rm -rf /usr/local/lib/node_modules /opt/yarn-* /usr/local/bin/npm /usr/local/bin/npx \
    /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg \
  && find / -xdev -type f -perm /6000 -exec chmod a-s {} +
WORKDIR /opt/trac-gateway
# Owned by root: the process cannot change its own program.
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
COPY LICENSE gateway.yaml ./
COPY deploy/trac/trac_gateway.py ./deploy/trac/
# By number, so that Kubernetes' runAsNonRoot can tell.
USER 1000:1000
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 \
  CMD ["node", "-e", "fetch(`http://${process.env.TRAC_GATEWAY_ADMIN_LISTEN.replace('0.0.0.0', '127.0.0.1').replace('[::]', '[::1]')}/healthz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Garbage is collected by the thread that serves: threads beside it would take turns with it on a small machine.
# What a request makes is never put where it is collected late: V8 would do so for good after a quiet time, and slow down.
# What a request runs through is compiled into larger pieces.
# And what the start needed is collected in its first quiet second, which takes gc().
ENTRYPOINT ["node", "--single-threaded-gc", "--no-allocation-site-pretenuring", "--max-inlined-bytecode-size-cumulative=3680", "--expose-gc", "/opt/trac-gateway/dist/main.js"]
CMD ["start", "--config", "/etc/trac-gateway/gateway.yaml"]
