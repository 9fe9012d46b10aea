# A Cognito user pool for trac-gateway: three groups, a client, sign-in pages, and a Lambda that
# adds trac_permissions. What each setting is for: deploy/docs/guides/cognito.md.
#
#   terraform init
#   terraform apply -var public_url=https://trac.example.edu/trac -var domain_prefix=example-trac
#   terraform output -raw gateway_yaml

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source = "hashicorp/aws"
      # The first with refresh_token_rotation.
      version = ">= 6.0"
    }
    archive = {
      source  = "hashicorp/archive"
      version = ">= 2.4"
    }
  }
}
