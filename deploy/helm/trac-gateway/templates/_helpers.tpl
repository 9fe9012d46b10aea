{{- define "trac-gateway.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "trac-gateway.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "trac-gateway.labels" -}}
{{ include "trac-gateway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "trac-gateway.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "trac-gateway.secretName" -}}
{{- .Values.secrets.existing | default (printf "%s-secrets" (include "trac-gateway.name" .)) }}
{{- end }}

{{/* How many pods there may be at most. */}}
{{- define "trac-gateway.pods" -}}
{{- if .Values.autoscaling.enabled }}{{ max (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) }}
{{- else }}{{ int .Values.replicaCount }}{{ end }}
{{- end }}

{{/* Everything that must not be, each said with what to write. */}}
{{- define "trac-gateway.check" -}}
{{- $session := .Values.config.session | default dict }}
{{- $many := gt (int (include "trac-gateway.pods" .)) 1 }}
{{- if and $many (ne ($session.store | default "cookie") "redis") }}
{{- fail "more than one pod, while sessions are in the cookie: set config.session.store: redis and config.session.redis.url, or replicaCount: 1 without autoscaling" }}
{{- end }}
{{- if and $many .Values.persistence.enabled }}
{{- fail "more than one pod on one volume: set persistence.enabled: false (with Redis nothing needs it)" }}
{{- end }}
{{- if and $many (eq .Values.mode "sidecar") }}
{{- fail "more than one pod in sidecar mode would be more than one Trac on one environment: use mode: standalone" }}
{{- end }}
{{- if eq (not .Values.secrets.existing) (not .Values.secrets.make) }}
{{- fail "set one of secrets.existing (the name of a Secret with session, signing and admin) and secrets.make: true" }}
{{- end }}
{{- if and (eq .Values.mode "sidecar") (not .Values.trac.image) }}
{{- fail "mode: sidecar needs trac.image" }}
{{- end }}
{{- if and (eq .Values.mode "standalone") (not (dig "upstreams" "trac" "url" "" .Values.config)) }}
{{- fail "set config.upstreams.trac.url: where Trac is" }}
{{- end }}
{{- if .Values.networkPolicy.enabled }}
{{- range include "trac-gateway.ways" . | fromYamlArray }}
{{- if not (get $.Values.networkPolicy .key) }}{{ include "trac-gateway.checkWay" (dict "way" . "extra" $.Values.networkPolicy.extraEgress) }}{{ end }}
{{- end }}
{{- end }}
{{- if contains "-----BEGIN" (toJson .Values.config) }}
{{- fail "config holds a PEM text: it goes into a ConfigMap. Put it into a Secret, name that under secrets.extra, and write { fromFile: /run/secrets/trac-gateway/KEY }" }}
{{- end }}
{{- end }}

{{/* gateway.yaml: what the chart knows, and over it what stands in `config`. */}}
{{- define "trac-gateway.config" -}}
{{- $secrets := "/run/secrets/trac-gateway" }}
{{- $state := "/var/lib/trac-gateway" }}
{{- $name := include "trac-gateway.name" . }}
{{- $admin := printf "%s-admin" $name }}
{{- $redis := eq (dig "session" "store" "cookie" .Values.config) "redis" }}
{{- $session := dict "secrets" (list (dict "fromFile" (printf "%s/session" $secrets))) }}
{{- $username := dict }}
{{- if $redis }}
{{- if gt (int (include "trac-gateway.pods" .)) 1 }}{{ $_ := set $session "replicas" "many" }}{{ end }}
{{- else }}
{{- $_ := set $session "revocationFile" (printf "%s/revocations" $state) }}
{{- $_ := set $username "namesFile" (printf "%s/names" $state) }}
{{- end }}
{{- $trac := dict "signature" "v2" "signingKeys" (list (dict "id" "k1" "secret" (dict "fromFile" (printf "%s/signing" $secrets)))) }}
{{- if eq .Values.mode "sidecar" }}{{ $_ := set $trac "url" (printf "http://127.0.0.1:%d" (int .Values.trac.port)) }}{{ end }}
{{- $identity := dict "keys" (dict "cacheFile" (printf "%s/keys.json" $state)) }}
{{- if $username }}{{ $_ := set $identity "username" $username }}{{ end }}
{{- $ours := dict
  "server" (dict "listen" "0.0.0.0:8080" "spoolDirectory" $state)
  "admin" (dict
    "listen" "0.0.0.0:9464"
    "hosts" (list $admin (printf "%s.%s" $admin .Release.Namespace) (printf "%s.%s.svc" $admin .Release.Namespace))
    "token" (dict "fromFile" (printf "%s/admin" $secrets)))
  "identity" $identity
  "session" $session
  "upstreams" (dict "trac" $trac) }}
{{- mustMergeOverwrite $ours (deepCopy .Values.config) | toYaml }}
{{- end }}

{{/* The port of an address of gateway.yaml; nothing for one in this pod (loopback, a Unix socket). */}}
{{- define "trac-gateway.portOf" -}}
{{- $url := urlParse (toString .) }}
{{- if and (has $url.scheme (list "http" "https")) (not (regexMatch "^(localhost|.+[.]localhost|127[.].+|::1)$" $url.hostname)) }}
{{- regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary "443" "80" (eq $url.scheme "https")) }}
{{- end }}
{{- end }}

{{/* The ports of the provider, with spaces between. */}}
{{- define "trac-gateway.providerPorts" -}}
{{- $identity := .identity }}
{{- $cognito := $identity.cognito | default dict }}
{{- $addresses := list ($identity.issuer | default "") }}
{{- if and $cognito (not $identity.issuer) }}{{ $addresses = append $addresses "https://cognito" }}{{ end }}
{{- with $cognito.domain }}{{ $addresses = append $addresses (ternary . "https://cognito" (contains "://" .)) }}{{ end }}
{{- range $identity.additionalIssuers }}{{ $addresses = append $addresses .issuer }}{{ end }}
{{- range $addresses }}{{ include "trac-gateway.portOf" . }} {{ end }}
{{- end }}

{{/* Where the gateway goes by its gateway.yaml: keys of `networkPolicy`, the ports there, and what makes it go there. */}}
{{- define "trac-gateway.ways" -}}
{{- $policy := .Values.networkPolicy }}
{{- $config := include "trac-gateway.config" . | fromYaml }}
{{- $others := "" }}
{{- range omit $config.upstreams "trac" }}{{ $others = printf "%s %s" $others (include "trac-gateway.portOf" .url) }}{{ end }}
{{- $redis := eq (dig "store" "cookie" $config.session) "redis" }}
{{- range $way := list
  (list "providerTo" (printf "%s %s" (include "trac-gateway.providerPorts" $config) (join " " $policy.providerPorts)) "config.identity names a provider")
  (list "tracTo" (include "trac-gateway.portOf" $config.upstreams.trac.url) "config.upstreams.trac is outside of the pod")
  (list "upstreamsTo" $others "config.upstreams has others beside trac")
  (list "tracingTo" (include "trac-gateway.portOf" (dig "tracing" "endpoint" "" $config)) "config.tracing.endpoint is outside of the pod")
  (list "redisTo" (ternary (toString $policy.redisPort) "" $redis) "config.session.store is redis") }}
{{- with regexFindAll "[0-9]+" (index $way 1) -1 | uniq }}
- {{ dict "key" (index $way 0) "ports" . "why" (index $way 2) | toJson }}
{{- end }}
{{- end }}
{{- end }}

{{/* A way that nothing lets out would only time out. `.ports` of `.way` must stand in a rule of networkPolicy.extraEgress. */}}
{{- define "trac-gateway.checkWay" -}}
{{- range $port := .way.ports }}
{{- $open := false }}
{{- range $rule := $.extra }}
{{- if not $rule.ports }}{{ $open = true }}{{ end }}
{{- range $rule.ports }}
{{- if or (not .port) (eq (toString .port) $port) (and .endPort (le (int .port) (int $port)) (ge (int .endPort) (int $port))) }}{{ $open = true }}{{ end }}
{{- end }}
{{- end }}
{{- if not $open }}
{{- fail (printf "networkPolicy.%s: found nobody, while %s; wanted who is there at port %s. Write networkPolicy.%s: [{ podSelector: { matchLabels: { app: NAME } } }], or a rule with that port under networkPolicy.extraEgress, or networkPolicy.enabled: false" $.way.key $.way.why $port $.way.key) }}
{{- end }}
{{- end }}
{{- end }}

{{/* A duration of gateway.yaml in seconds, rounded up. */}}
{{- define "trac-gateway.seconds" -}}
{{- $text := toString .value }}
{{- if not (regexMatch "^(0|[1-9][0-9]*)(ms|s|m|h|d)$" $text) }}
{{- fail (printf "%s: found %s; wanted a duration with its unit. Write for instance 30s" .key $text) }}
{{- end }}
{{- $number := regexFind "^[0-9]+" $text | int64 }}
{{- if hasSuffix "ms" $text }}{{ div (add $number 999) 1000 }}
{{- else }}{{ mul $number (get (dict "s" 1 "m" 60 "h" 3600 "d" 86400) (regexFind ".$" $text)) }}{{ end }}
{{- end }}

{{/* The gateway cuts what still runs after the longer of the two. A little more, so that it ends by itself. */}}
{{- define "trac-gateway.gracePeriod" -}}
{{- $timeouts := dig "timeouts" dict .Values.config.server | default dict }}
{{- $shutdown := dict "key" "config.server.timeouts.shutdown" "value" ($timeouts.shutdown | default "30s") }}
{{- $drain := dict "key" "config.server.timeouts.drain" "value" ($timeouts.drain | default "5s") }}
{{- max (include "trac-gateway.seconds" $shutdown | int64) (include "trac-gateway.seconds" $drain | int64) | add 5 }}
{{- end }}

{{/* What the restricted Pod Security Standard wants of a container, and a root file system that nobody writes. */}}
{{- define "trac-gateway.hardened" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
capabilities: { drop: [ALL] }
{{- end }}

{{/* How the kubelet asks Trac, which may listen on loopback alone. It refuses whoever is not signed for. */}}
{{- define "trac-gateway.tracProbe" -}}
exec:
  command:
    {{- if .Values.trac.probe }}{{ toYaml .Values.trac.probe | nindent 4 }}
    {{- else }}
    - python3
    - -c
    - import socket; socket.create_connection(('127.0.0.1', {{ int .Values.trac.port }}), 3)
    {{- end }}
timeoutSeconds: 5
{{- end }}
