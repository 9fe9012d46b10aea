output "gateway_yaml" {
  description = "Lines of gateway.yaml. Say beside them what each group may do (permissions.groups)."
  value = templatefile("${path.module}/gateway.yaml.tftpl", {
    region      = data.aws_region.here.region
    pool        = aws_cognito_user_pool.trac.id
    domain      = aws_cognito_user_pool_domain.trac.domain
    client      = aws_cognito_user_pool_client.gateway.id
    username    = var.email_domain == "" ? "{}" : "{ emailLocalPart: ${var.email_domain} }"
    from_claims = join(", ", concat(["nonAdmin"], var.plugin_permissions))
  })
}

output "issuer" {
  description = "The issuer of the tokens, for other programs."
  value       = "https://${aws_cognito_user_pool.trac.endpoint}"
}

output "identity_pool_id" {
  description = "The identity pool, if there is one."
  value       = one(aws_cognito_identity_pool.trac[*].id)
}
