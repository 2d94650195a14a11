{{/* name is what all of a release's objects are called by, with room for what is added below the 63 letters of a Service. */}}
{{- define "culvert.name" -}}
{{- if contains "culvert" .Release.Name }}{{ .Release.Name | trunc 48 | trimSuffix "-" }}{{ else }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}-culvert{{ end }}
{{- end }}

{{/* away is how many seconds a pod serves on after its end is asked for, until all nodes have left it out. */}}
{{- define "culvert.away" -}}10{{- end }}

{{/* labels tells a server's pods from all others, and never changes: (list ROOT SERVER). */}}
{{- define "culvert.labels" -}}
app.kubernetes.io/name: culvert-{{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end }}

{{/* image is where a server's image is: (list ROOT SERVER). */}}
{{- define "culvert.image" -}}
{{- $v := (index . 0).Values -}}
{{- if and (not $v.registry) (ne $v.pullPolicy "Never") }}{{ fail "say where the images are: --set registry=registry.example/culvert, or --set pullPolicy=Never where the nodes have them" }}{{ end -}}
{{- if not $v.tag }}{{ fail "say which images: --set tag=VERSION, of a release that you have pushed" }}{{ end -}}
{{ with $v.registry }}{{ trimSuffix "/" . }}/{{ end }}culvert-{{ index . 1 }}:{{ $v.tag }}
{{- end }}

{{/* server is the Deployment, the Service and the PodDisruptionBudget of one: a dict of root, server, values, env, mounts, volumes. */}}
{{- define "culvert.server" -}}
{{- $root := .root }}{{ $name := printf "%s-%s" (include "culvert.name" .root) .server }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  labels: {{- include "culvert.labels" (list .root .server) | nindent 4 }}
spec:
  replicas: {{ .values.replicas }}
  selector:
    matchLabels: {{- include "culvert.labels" (list .root .server) | nindent 6 }}
  strategy: # a new one serves before an old one drains
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  template:
    metadata:
      labels: {{- include "culvert.labels" (list .root .server) | nindent 8 }}
    spec:
      terminationGracePeriodSeconds: {{ add .root.Values.drainSeconds (include "culvert.away" .) 10 }}
      automountServiceAccountToken: false
      enableServiceLinks: false # whose variables would be taken for settings
      {{- with .root.Values.pullSecrets }}
      imagePullSecrets: {{- range . }}
        - name: {{ . }}{{ end }}
      {{- end }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        runAsGroup: 65532
        fsGroup: 65532
        seccompProfile: {type: RuntimeDefault}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{- include "culvert.labels" (list .root .server) | nindent 14 }}
      containers:
        - name: {{ .server }}
          image: {{ include "culvert.image" (list .root .server) | quote }}
          imagePullPolicy: {{ .root.Values.pullPolicy }}
          env:
            - {name: CULVERT_LISTEN, value: ":8080"}
            - {name: CULVERT_ADMIN_LISTEN, value: {{ ternary ":9090" "127.0.0.1:9090" .root.Values.metrics | quote }}}
            - {name: CULVERT_DRAIN, value: {{ printf "%ds" (int .root.Values.drainSeconds) | quote }}}
            - {name: GOMEMLIMIT, value: {{ printf "%dMiB" (div (mul .values.memoryMiB 8) 10) | quote }}}
            - {name: CULVERT_MAX_STRANGERS, value: {{ mul .values.memoryMiB 5 | quote }}} # of some 30 kB: 15 % of the memory
            {{- .env | nindent 12 }}
            {{- range $key, $value := .root.Values.settings }}
            - {name: {{ $key }}, value: {{ $value | quote }}}
            {{- end }}
          ports:
            - {name: relay, containerPort: 8080}
            {{- if .root.Values.metrics }}
            - {name: metrics, containerPort: 9090}
            {{- end }}
            {{- with .ports }}{{ . | nindent 12 }}{{ end }}
          startupProbe:
            exec: {command: ["/{{ .server }}", health]}
            periodSeconds: 2
            timeoutSeconds: 5
            failureThreshold: 30
          readinessProbe:
            exec: {command: ["/{{ .server }}", health]}
            periodSeconds: 5
            timeoutSeconds: 5
          # A server that is told to end lets nobody in any more: it is told once nobody is sent to it.
          lifecycle:
            preStop: {sleep: {seconds: {{ include "culvert.away" . }}}}
          # It says that it is not well for reasons that a new process has, too. Nothing is probed any more once the pod is to end.
          livenessProbe:
            tcpSocket: {port: relay}
            periodSeconds: 20
            timeoutSeconds: 5
            failureThreshold: 3
          resources:
            requests: {cpu: {{ .values.cpu | quote }}, memory: {{ printf "%dMi" (div .values.memoryMiB 4) }}}
            limits: {memory: {{ printf "%dMi" (int .values.memoryMiB) }}}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
          {{- with .mounts }}
          volumeMounts: {{- . | nindent 12 }}
          {{- end }}
      {{- with .volumes }}
      volumes: {{- . | nindent 8 }}
      {{- end }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}
  labels: {{- include "culvert.labels" (list .root .server) | nindent 4 }}
  {{- with .values.service.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .values.service.type }}
  {{- if ne .values.service.type "ClusterIP" }}
  externalTrafficPolicy: Local # else all strangers come from the nodes' addresses, and share what one may have
  {{- end }}
  selector: {{- include "culvert.labels" (list .root .server) | nindent 4 }}
  ports:
    - {name: relay, port: {{ .values.service.port }}, targetPort: relay}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $name }}
  labels: {{- include "culvert.labels" (list .root .server) | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "culvert.labels" (list .root .server) | nindent 6 }}
{{- end }}
