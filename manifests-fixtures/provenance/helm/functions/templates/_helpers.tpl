{{- define "functions.render" -}}
{{- $value := typeIs "string" .value | ternary .value (.value | toYaml) }}
{{- if contains "{{" (toJson .value) }}
{{- tpl $value .context }}
{{- else }}
{{- $value }}
{{- end }}
{{- end -}}

{{- define "functions.merge" -}}
{{- $dst := dict -}}
{{- range .values -}}
{{- $dst = include "functions.render" (dict "value" . "context" $.context) | fromYaml | merge $dst -}}
{{- end -}}
{{ $dst | toYaml }}
{{- end -}}

{{- define "functions.mode" -}}
{{- $_ := set . "mode" (ternary "on" "off" .Values.disabled) -}}
{{- end -}}

{{- define "functions.kube" -}}
{{- default (default .Capabilities.KubeVersion.Version .Values.kubeVersion) ((.Values.global).kubeVersion) -}}
{{- end -}}
