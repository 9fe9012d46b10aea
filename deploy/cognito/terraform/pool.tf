data "aws_region" "here" {}

locals {
  # The plan that token_version needs. Refresh tokens rotate in Essentials only.
  plan = var.token_version == "V1_0" ? "LITE" : "ESSENTIALS"
}

resource "aws_cognito_user_pool" "trac" {
  name                     = var.name
  user_pool_tier           = local.plan
  deletion_protection      = "ACTIVE"
  username_attributes      = ["email"]
  auto_verified_attributes = ["email"]
  mfa_configuration        = "OPTIONAL"

  username_configuration {
    case_sensitive = false
  }

  # A new address counts once it is verified; until then the old one stays.
  user_attribute_update_settings {
    attributes_require_verification_before_update = ["email"]
  }

  schema {
    name                = "email"
    attribute_data_type = "String"
    required            = true
    mutable             = true
    string_attribute_constraints {
      min_length = 0
      max_length = 2048
    }
  }

  admin_create_user_config {
    allow_admin_create_user_only = !var.self_sign_up
  }

  account_recovery_setting {
    recovery_mechanism {
      name     = "verified_email"
      priority = 1
    }
  }

  software_token_mfa_configuration {
    enabled = true
  }

  password_policy {
    minimum_length                   = 12
    require_lowercase                = false
    require_uppercase                = false
    require_numbers                  = false
    require_symbols                  = false
    temporary_password_validity_days = 3
  }

  lambda_config {
    pre_token_generation_config {
      lambda_arn     = aws_lambda_function.pre_token_generation.arn
      lambda_version = var.token_version
    }
  }
}

resource "aws_cognito_user_group" "trac" {
  for_each     = var.groups
  name         = each.key
  user_pool_id = aws_cognito_user_pool.trac.id
}

resource "aws_cognito_user_pool_domain" "trac" {
  domain       = var.domain_prefix
  user_pool_id = aws_cognito_user_pool.trac.id
}

resource "aws_cognito_user_pool_client" "gateway" {
  name         = "trac-gateway"
  user_pool_id = aws_cognito_user_pool.trac.id
  # A public client: PKCE protects the code.
  generate_secret = false

  allowed_oauth_flows_user_pool_client = true
  allowed_oauth_flows                  = ["code"]
  allowed_oauth_scopes                 = ["openid", "email", "profile"]
  supported_identity_providers         = ["COGNITO"]
  callback_urls                        = ["${var.public_url}/auth/callback"]
  logout_urls                          = ["${var.public_url}/auth/signed-out"]

  # ALLOW_REFRESH_TOKEN_AUTH and rotation exclude each other.
  explicit_auth_flows = local.plan == "LITE" ? ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"] : ["ALLOW_USER_SRP_AUTH"]
  dynamic "refresh_token_rotation" {
    for_each = local.plan == "LITE" ? [] : [1]
    content {
      feature                    = "ENABLED"
      retry_grace_period_seconds = 60
    }
  }
  enable_token_revocation       = true
  prevent_user_existence_errors = "ENABLED"

  token_validity_units {
    access_token  = "minutes"
    id_token      = "minutes"
    refresh_token = "days"
  }
  access_token_validity  = 60
  id_token_validity      = 60
  refresh_token_validity = 7

  read_attributes  = ["email", "email_verified", "name"]
  write_attributes = ["email", "name"]
}
