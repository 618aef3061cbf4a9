# Keyturn's image: the API and the worker are two commands of it (docker-compose.yml). It has no shell of ours, no npm step at
# its start, and writes only to /var/lib/keyturn.
#
# Debian, not Alpine: Temporal's core bridge is published for glibc only.

FROM node:24-bookworm-slim AS compiled
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# No package needs a script at its installation; the build below is ours.
RUN npm ci --ignore-scripts
COPY . .
# Also makes the workflow bundle, with the version of Temporal's SDK that runs it.
RUN npm run build

FROM node:24-bookworm-slim AS packages
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# The core bridge comes for five platforms, 138 MB: keep the one that this image is for.
RUN npm ci --ignore-scripts --omit=dev \
    && find node_modules/@temporalio/core-bridge/releases -mindepth 1 -maxdepth 1 \
      ! -name "$(uname -m)-unknown-linux-gnu" -exec rm -r {} +

FROM node:24-bookworm-slim
ENV NODE_ENV=production
# New volumes at these places take their owner from here.
RUN groupadd --gid 65532 keyturn \
    && useradd --uid 65532 --gid 65532 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin keyturn \
    && install --directory --owner=keyturn --group=keyturn --mode=0750 \
      /var/lib/keyturn/evidence /var/lib/keyturn/signing-key \
      /var/lib/keyturn/api-key /var/lib/keyturn/api-public-key
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=packages /build/node_modules ./node_modules
COPY --from=compiled /build/dist ./dist
USER 65532:65532
EXPOSE 8080
CMD ["node", "--enable-source-maps", "--heap-growing-percent=20", "dist/api/main.js"]
