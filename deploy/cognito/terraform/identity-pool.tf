resource "aws_cognito_identity_pool" "trac" {
  count                            = var.identity_pool ? 1 : 0
  identity_pool_name               = var.name
  allow_unauthenticated_identities = false
  cognito_identity_providers {
    client_id               = aws_cognito_user_pool_client.gateway.id
    provider_name           = aws_cognito_user_pool.trac.endpoint
    server_side_token_check = true
  }
}

data "aws_iam_policy_document" "identity" {
  count = var.identity_pool ? 1 : 0
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = ["cognito-identity.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "cognito-identity.amazonaws.com:aud"
      values   = [aws_cognito_identity_pool.trac[0].id]
    }
    condition {
      test     = "ForAnyValue:StringLike"
      variable = "cognito-identity.amazonaws.com:amr"
      values   = ["authenticated"]
    }
  }
}

# Nothing is allowed until you attach a policy.
resource "aws_iam_role" "identity" {
  count              = var.identity_pool ? 1 : 0
  name               = "${var.name}-signed-in"
  assume_role_policy = data.aws_iam_policy_document.identity[0].json
}

resource "aws_cognito_identity_pool_roles_attachment" "trac" {
  count            = var.identity_pool ? 1 : 0
  identity_pool_id = aws_cognito_identity_pool.trac[0].id
  roles            = { authenticated = aws_iam_role.identity[0].arn }
}
